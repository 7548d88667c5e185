import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0001_squashed'),
    ]

    operations = [
        migrations.CreateModel(
            name='StoredBatch',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('stored_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name='UsageHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField()),
                ('endpoint', models.CharField(max_length=200)),
                ('method', models.CharField(max_length=8)),
                ('status', models.PositiveSmallIntegerField()),
                ('count', models.PositiveBigIntegerField()),
                ('total_ms', models.PositiveBigIntegerField()),
                ('max_ms', models.PositiveBigIntegerField()),
                ('api_key', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.apikey')),
                ('company', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.company')),
            ],
            options={
                'indexes': [models.Index(fields=['company', 'hour'], name='usage_usage_company_c24886_idx'), models.Index(fields=['hour'], name='usage_usage_hour_c0c94c_idx')],
                'constraints': [models.UniqueConstraint(fields=('api_key', 'hour', 'endpoint', 'method', 'status'), name='usage_hour_counted_once')],
            },
        ),
    ]
