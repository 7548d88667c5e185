from django.db import migrations
from pgvector.django import VectorExtension


class Migration(migrations.Migration):
    """Extensions belong to the shared schema: made from a tenant's migration, one would land in that tenant."""

    dependencies = [("tenants", "0001_initial")]
    operations = [VectorExtension()]
