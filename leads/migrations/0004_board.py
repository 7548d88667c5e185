from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0002_people'),
        ('leads', '0003_custom_fields'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='lead',
            name='lead_status',
        ),
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(condition=models.Q(('archived_at', None), ('is_nameless', False), ('merged_into', None)), fields=['status', '-last_activity'], include=('agent',), name='lead_status'),
        ),
    ]
