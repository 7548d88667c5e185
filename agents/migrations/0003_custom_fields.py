import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0002_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='LeadField',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('archived_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('name', models.CharField(max_length=80)),
                ('key', models.CharField(max_length=40, unique=True)),
                ('kind', models.CharField(choices=[('text', 'Text'), ('number', 'Number'), ('date', 'Date'), ('boolean', 'Yes or no'), ('choice', 'Choice')], max_length=8)),
                ('options', models.JSONField(blank=True, default=list)),
                ('description', models.CharField(blank=True, max_length=200)),
                ('is_required', models.BooleanField(default=False)),
                ('position', models.PositiveIntegerField(default=0)),
            ],
            options={
                'ordering': ['position', 'created_at'],
            },
        ),
    ]
