from django.db import migrations, models

import leads.models


def fill_email_hashes(apps, schema_editor):
    Lead = apps.get_model("leads", "Lead")
    for lead in Lead.objects.only("email").iterator():
        Lead.objects.filter(pk=lead.pk).update(email_hash=leads.models.email_hash(lead.email))


class Migration(migrations.Migration):
    """The blind index is kept in either case: one way to look an address up, and one constraint."""

    dependencies = [("leads", "0001_initial")]

    operations = [
        migrations.RemoveConstraint("lead", "lead_email_unique_in_agent"),
        migrations.AlterField("lead", "email", leads.models.LeadDataField()),
        migrations.AlterField("lead", "phone", leads.models.LeadDataField(blank=True)),
        migrations.AddField(
            "lead",
            "email_hash",
            leads.models.EmailHashField(default="", editable=False, max_length=64),
            preserve_default=False,
        ),
        migrations.RunPython(fill_email_hashes, migrations.RunPython.noop),
        migrations.AddConstraint(
            "lead",
            models.UniqueConstraint(fields=["agent", "email_hash"], name="lead_email_unique_in_agent"),
        ),
    ]
