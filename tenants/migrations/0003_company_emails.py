from typing import Any

from django.db import migrations, models
from django.db.models.functions import Lower


def take_addresses_of_the_younger(apps: Any, schema_editor: Any) -> None:
    """Of live companies with one address the oldest keeps it. The others stay as they are, without one: their people
    sign in with their own addresses, and their admins enter another.
    """
    companies = apps.get_model("tenants", "Company").objects.filter(archived_at=None).exclude(email="")
    seen = set()
    for company in companies.order_by("created_at", "pk"):
        address = company.email.lower()
        if address in seen:
            print(f"\n  The company {company.name} ({company.pk}) shared the address {address} and has none now.")
            companies.filter(pk=company.pk).update(email="")
        seen.add(address)


class Migration(migrations.Migration):
    """Two live companies never have one e-mail address, whatever happens at the same time."""

    dependencies = [("tenants", "0002_dead_letters")]
    operations = [
        migrations.RunPython(take_addresses_of_the_younger, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="company",
            constraint=models.UniqueConstraint(
                Lower("email"),
                condition=models.Q(("archived_at", None), models.Q(("email", ""), _negated=True)),
                name="company_email_unique",
                violation_error_message="A company with this e-mail address exists already.",
            ),
        ),
    ]
