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
            name='CompanyDaily',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('date', models.DateField()),
                ('users', models.PositiveIntegerField(default=0)),
                ('agents', models.PositiveIntegerField(default=0)),
                ('documents', models.PositiveIntegerField(default=0)),
                ('documents_processed', models.PositiveIntegerField(default=0)),
                ('storage_bytes', models.PositiveBigIntegerField(default=0)),
                ('new_users', models.PositiveIntegerField(default=0)),
                ('new_documents', models.PositiveIntegerField(default=0)),
                ('new_bytes', models.PositiveBigIntegerField(default=0)),
                ('new_conversations', models.PositiveIntegerField(default=0)),
                ('new_messages', models.PositiveIntegerField(default=0)),
                ('new_leads', models.PositiveIntegerField(default=0)),
                ('tokens', models.PositiveBigIntegerField(default=0)),
                ('active_users', models.PositiveIntegerField(default=0)),
                ('counted_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('company', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='days', to='tenants.company')),
            ],
            options={
                'verbose_name': "company's day",
                'verbose_name_plural': "companies' days",
                'ordering': ['-date', 'company'],
                'indexes': [models.Index(fields=['date'], name='analytics_c_date_599dc8_idx')],
                'constraints': [models.UniqueConstraint(fields=('company', 'date'), name='one_row_per_company_and_day')],
            },
        ),
        migrations.CreateModel(
            name='SystemMetric',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60)),
                ('type', models.CharField(choices=[('gauge', 'Gauge'), ('counter', 'Counter')], default='gauge', max_length=8)),
                ('value', models.FloatField()),
                ('labels', models.JSONField(blank=True, default=dict)),
                ('timestamp', models.DateTimeField(default=django.utils.timezone.now)),
                ('company', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='system_metrics', to='tenants.company')),
            ],
            options={
                'ordering': ['-timestamp'],
                'indexes': [models.Index(fields=['company', '-timestamp'], name='analytics_s_company_ee27e6_idx'), models.Index(fields=['timestamp'], name='analytics_s_timesta_b273fa_idx')],
            },
        ),
    ]
