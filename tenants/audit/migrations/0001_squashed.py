import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from tenants.audit.chain import seal_head


def begin_the_log(apps, schema_editor):
    """The platform's. A company's begins with the company."""
    if schema_editor.connection.schema_name == settings.TEMPLATE_SCHEMA:
        return
    head = apps.get_model("audit", "AuditHead")()
    seal_head(head)
    head.save(force_insert=True)


class Migration(migrations.Migration):

    replaces = [('audit', '0001_initial'), ('audit', '0002_head')]

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('position', models.PositiveBigIntegerField(unique=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('event_type', models.CharField(max_length=80)),
                ('entity_type', models.CharField(max_length=40)),
                ('entity_id', models.CharField(blank=True, max_length=64)),
                ('entity_label', models.CharField(blank=True, max_length=200)),
                ('description', models.CharField(blank=True, max_length=500)),
                ('risk_level', models.CharField(choices=[('low', 'Low'), ('medium', 'Medium'), ('high', 'High'), ('critical', 'Critical')], default='low', max_length=8)),
                ('actor_kind', models.CharField(max_length=10)),
                ('actor_id', models.UUIDField(blank=True, null=True)),
                ('actor_label', models.CharField(blank=True, max_length=254)),
                ('actor_role', models.CharField(blank=True, max_length=20)),
                ('user_id', models.UUIDField(blank=True, null=True)),
                ('impersonator_id', models.UUIDField(blank=True, null=True)),
                ('impersonator_label', models.CharField(blank=True, max_length=254)),
                ('ip_address', models.GenericIPAddressField(blank=True, null=True)),
                ('user_agent', models.CharField(blank=True, max_length=300)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('changes', models.JSONField(blank=True, default=dict)),
                ('key_id', models.CharField(max_length=8)),
                ('previous_digest', models.CharField(blank=True, max_length=64)),
                ('digest', models.CharField(max_length=64)),
            ],
            options={
                'ordering': ['-position'],
                'indexes': [models.Index(fields=['-created_at'], name='audit_audit_created_e208ff_idx'), models.Index(fields=['entity_type', 'entity_id'], name='audit_audit_entity__0bff9a_idx')],
            },
        ),
        migrations.CreateModel(
            name='AuditHead',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('position', models.PositiveBigIntegerField(default=0)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('pruned_position', models.PositiveBigIntegerField(default=0)),
                ('pruned_digest', models.CharField(blank=True, max_length=64)),
                ('key_id', models.CharField(blank=True, max_length=8)),
                ('seal', models.CharField(blank=True, max_length=64)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='audit_head_is_one')],
            },
        ),
        migrations.RunPython(begin_the_log, migrations.RunPython.noop),
    ]
