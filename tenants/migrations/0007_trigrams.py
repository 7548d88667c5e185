from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations


class Migration(migrations.Migration):
    """For searches in the midst of words. In the shared schema, as every extension."""

    dependencies = [("tenants", "0006_retrieval_scale")]
    operations = [TrigramExtension()]
