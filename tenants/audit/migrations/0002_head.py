from django.conf import settings
from django.db import migrations, models

from tenants.audit.chain import seal_head


def begin_the_log(apps, schema_editor):
    """The platform's, and those of companies that are there already. A new company's begins with the company."""
    if schema_editor.connection.schema_name == settings.TEMPLATE_SCHEMA:
        return
    head = apps.get_model("audit", "AuditHead")()
    seal_head(head)
    head.save(force_insert=True)


class Migration(migrations.Migration):

    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.AddField(
            "auditevent", "actor_role", models.CharField(blank=True, max_length=20, default=""), preserve_default=False
        ),
        migrations.AddField(
            "auditevent", "key_id", models.CharField(max_length=8, default=""), preserve_default=False
        ),
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("position", models.PositiveBigIntegerField(default=0)),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("pruned_position", models.PositiveBigIntegerField(default=0)),
                ("pruned_digest", models.CharField(blank=True, max_length=64)),
                ("key_id", models.CharField(blank=True, max_length=8)),
                ("seal", models.CharField(blank=True, max_length=64)),
            ],
        ),
        migrations.AddConstraint(
            "audithead", models.CheckConstraint(condition=models.Q(("id", 1)), name="audit_head_is_one")
        ),
        migrations.RunPython(begin_the_log, migrations.RunPython.noop),
    ]
