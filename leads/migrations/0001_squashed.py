import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
import leads.models
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('leads', '0001_initial'), ('leads', '0002_encrypted_data'), ('leads', '0003_leads'), ('leads', '0004_widget2'), ('leads', '0005_scores'), ('leads', '0006_search')]

    initial = True

    dependencies = [
        ('agents', '0001_squashed'),
    ]

    operations = [
        migrations.CreateModel(
            name='ScoreRules',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('is_only', models.BooleanField(default=True, editable=False, unique=True)),
                ('weights', models.JSONField(blank=True, default=dict)),
                ('rules', models.JSONField(blank=True, default=dict)),
                ('learned', models.JSONField(blank=True, default=dict)),
                ('learned_from', models.JSONField(blank=True, default=dict)),
                ('learned_at', models.DateTimeField(blank=True, null=True)),
                ('is_learning', models.BooleanField(default=True)),
                ('revision', models.PositiveIntegerField(default=0)),
                ('task_id', models.UUIDField(blank=True, editable=False, null=True)),
                ('heard_until', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Lead',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('archived_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('first_name', models.CharField(max_length=100)),
                ('last_name', models.CharField(blank=True, max_length=100)),
                ('email', leads.models.LeadDataField()),
                ('email_hash', leads.models.EmailHashField(editable=False, max_length=64)),
                ('phone', leads.models.LeadDataField(blank=True)),
                ('phone_hash', leads.models.PhoneHashField(blank=True, default='', editable=False, max_length=64)),
                ('source', models.CharField(blank=True, default='widget', max_length=100)),
                ('notes', models.TextField(blank=True)),
                ('tags', models.JSONField(blank=True, default=list)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('status', models.CharField(choices=[('new', 'New'), ('contacted', 'Contacted'), ('qualified', 'Qualified'), ('converted', 'Converted'), ('lost', 'Lost')], default='new', max_length=12)),
                ('consent_marketing', models.BooleanField(default=False)),
                ('consent_data_processing', models.BooleanField(default=True)),
                ('ip_address', models.GenericIPAddressField(blank=True, null=True)),
                ('user_agent', models.CharField(blank=True, max_length=300)),
                ('last_activity', models.DateTimeField(default=django.utils.timezone.now)),
                ('is_nameless', models.BooleanField(default=False, editable=False)),
                ('score', models.PositiveSmallIntegerField(blank=True, editable=False, null=True)),
                ('scored_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('score_revision', models.PositiveIntegerField(default=0, editable=False)),
                ('agent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='leads', to='agents.agent')),
                ('merged_into', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='merged', to='leads.lead')),
            ],
            options={
                'ordering': ['-created_at'],
                'indexes': [models.Index(fields=['-created_at'], name='lead_newest'), models.Index(condition=models.Q(('archived_at', None), ('is_nameless', False), ('merged_into', None)), fields=['first_name', 'last_name', 'id'], name='lead_by_name'), models.Index(condition=models.Q(('archived_at', None), ('is_nameless', False), ('merged_into', None)), fields=['status', '-last_activity'], name='lead_status'), models.Index(fields=['email_hash'], name='lead_email'), models.Index(condition=models.Q(('phone_hash', ''), _negated=True), fields=['phone_hash'], name='lead_phone'), django.contrib.postgres.indexes.GinIndex(fields=['tags'], name='lead_tags'), django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('first_name'), 'gin_trgm_ops'), django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('last_name'), 'gin_trgm_ops'), name='lead_names'), django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('email'), 'gin_trgm_ops'), condition=models.Q(('email__regex', '^gAAAAA[A-Za-z0-9_-]{92,}={0,2}$'), _negated=True), name='lead_addresses'), models.Index(models.OrderBy(models.F('score'), descending=True, nulls_last=True), models.F('id'), name='lead_score')],
                'constraints': [models.UniqueConstraint(fields=('agent', 'email_hash'), name='lead_email_unique_in_agent', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='LeadConsent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('kind', models.CharField(choices=[('marketing', 'Marketing'), ('data_processing', 'Data Processing')], max_length=16)),
                ('is_given', models.BooleanField()),
                ('text_version', models.CharField(blank=True, max_length=60)),
                ('actor_id', models.UUIDField(blank=True, null=True)),
                ('actor_label', models.CharField(blank=True, max_length=254)),
                ('lead', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='consents', to='leads.lead')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='LeadEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('kind', models.CharField(choices=[('status', 'Status'), ('note', 'Note'), ('merged', 'Merged'), ('unmerged', 'Unmerged'), ('imported', 'Imported')], max_length=10)),
                ('note', models.TextField(blank=True)),
                ('from_status', models.CharField(blank=True, max_length=12)),
                ('to_status', models.CharField(blank=True, max_length=12)),
                ('data', models.JSONField(blank=True, default=dict)),
                ('actor_id', models.UUIDField(blank=True, null=True)),
                ('actor_label', models.CharField(blank=True, max_length=254)),
                ('lead', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='leads.lead')),
            ],
            options={
                'ordering': ['-created_at'],
                'indexes': [models.Index(fields=['lead', '-created_at'], name='lead_timeline')],
            },
        ),
        migrations.CreateModel(
            name='LeadImport',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('file', models.FileField(blank=True, max_length=300, upload_to=leads.models.import_path)),
                ('filename', models.CharField(max_length=300)),
                ('encoding', models.CharField(max_length=20)),
                ('status', models.CharField(choices=[('checked', 'Checked'), ('processing', 'Running'), ('completed', 'Completed'), ('failed', 'Failed')], default='checked', max_length=10)),
                ('task_id', models.UUIDField(blank=True, editable=False, null=True)),
                ('actor_label', models.CharField(blank=True, max_length=254)),
                ('total', models.PositiveIntegerField(default=0)),
                ('faulty', models.PositiveIntegerField(default=0)),
                ('errors', models.JSONField(blank=True, default=list)),
                ('refused', models.FileField(blank=True, default='', max_length=300, upload_to=leads.models.refused_path)),
                ('rows_done', models.PositiveIntegerField(default=0)),
                ('created_count', models.PositiveIntegerField(default=0)),
                ('known_count', models.PositiveIntegerField(default=0)),
                ('agent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='agents.agent')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
    ]
