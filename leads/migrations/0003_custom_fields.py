import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0003_custom_fields'),
        ('leads', '0002_visitors'),
    ]

    operations = [
        migrations.AddField(
            model_name='lead',
            name='custom_fields',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=django.contrib.postgres.indexes.GinIndex(fields=['custom_fields'], name='lead_custom_fields', opclasses=['jsonb_path_ops']),
        ),
    ]
