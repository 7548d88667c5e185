import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import knowrithm.db.fields
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('agents', '0001_initial'), ('agents', '0002_verbose_name'), ('agents', '0003_retrieval'), ('agents', '0004_lifecycle'), ('agents', '0005_agent_versions'), ('agents', '0006_models_settings'), ('agents', '0007_handover'), ('agents', '0008_replay'), ('agents', '0009_widget2')]

    initial = True

    dependencies = [
        ('catalog', '0001_squashed'),
    ]

    operations = [
        migrations.CreateModel(
            name='LLMSettings',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('embedding_api_key', knowrithm.db.fields.EncryptedTextField(blank=True, default='')),
                ('embedding_api_base_url', models.CharField(blank=True, max_length=500)),
                ('embedding_dimension', models.PositiveIntegerField(default=384)),
                ('embedding_additional_params', models.JSONField(blank=True, default=dict)),
                ('name', models.CharField(blank=True, max_length=120)),
                ('llm_api_key', knowrithm.db.fields.EncryptedTextField(blank=True, default='')),
                ('llm_api_base_url', models.CharField(blank=True, max_length=500)),
                ('llm_temperature', models.FloatField(default=0.7)),
                ('llm_max_tokens', models.PositiveIntegerField(default=1000)),
                ('llm_additional_params', models.JSONField(blank=True, default=dict)),
                ('llm_input_price', models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True)),
                ('llm_output_price', models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True)),
                ('llm_price_currency', models.CharField(blank=True, max_length=3)),
                ('fallback_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), blank=True, default=list, size=None)),
                ('fallback_after', models.FloatField(default=2.5)),
                ('widget_script_url', models.CharField(blank=True, max_length=500)),
                ('widget_config', models.JSONField(blank=True, default=dict)),
                ('is_default', models.BooleanField(default=False)),
                ('is_active', models.BooleanField(default=True)),
                ('embedding_model', models.ForeignKey(on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.providermodel')),
                ('embedding_provider', models.ForeignKey(on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.provider')),
                ('llm_model', models.ForeignKey(on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.providermodel')),
                ('llm_provider', models.ForeignKey(on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.provider')),
            ],
            options={
                'verbose_name_plural': 'llm settings',
                'ordering': ['-is_default', '-created_at'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_default', True)), fields=('is_default',), name='one_default_llm_settings')],
            },
        ),
        migrations.CreateModel(
            name='Agent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('archived_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('name', models.CharField(max_length=200)),
                ('description', models.TextField(blank=True)),
                ('avatar_url', models.CharField(blank=True, max_length=500)),
                ('status', models.CharField(choices=[('active', 'Active'), ('inactive', 'Inactive'), ('training', 'Training'), ('maintenance', 'Maintenance')], default='active', max_length=20)),
                ('personality_traits', models.JSONField(blank=True, default=dict)),
                ('answer_length', models.CharField(choices=[('short', 'Short: a sentence or two'), ('balanced', 'Balanced: as long as it needs to be'), ('detailed', 'Detailed: with what belongs to it')], default='balanced', max_length=8)),
                ('capabilities', models.JSONField(blank=True, default=list)),
                ('operating_hours', models.JSONField(blank=True, default=dict)),
                ('handover', models.JSONField(blank=True, default=dict)),
                ('languages', models.JSONField(blank=True, default=list)),
                ('welcome_text', models.CharField(blank=True, max_length=500)),
                ('starter_questions', models.JSONField(blank=True, default=list)),
                ('widget', models.JSONField(blank=True, default=dict)),
                ('allowed_domains', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=253), blank=True, default=list, size=None)),
                ('retrieval_top_k', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('retrieval_dense_weight', models.FloatField(blank=True, null=True)),
                ('retrieval_threshold', models.FloatField(blank=True, null=True)),
                ('suggests_follow_ups', models.BooleanField(blank=True, null=True)),
                ('specialists', models.JSONField(blank=True, null=True)),
                ('chunk_size', models.PositiveSmallIntegerField(default=220)),
                ('chunk_overlap', models.PositiveSmallIntegerField(default=40)),
                ('last_trained', models.DateTimeField(blank=True, null=True)),
                ('version', models.PositiveIntegerField(default=0, editable=False)),
                ('draft', models.JSONField(blank=True, editable=False, null=True)),
                ('documents_count', models.PositiveIntegerField(default=0, editable=False)),
                ('total_conversations', models.PositiveIntegerField(default=0, editable=False)),
                ('total_messages', models.PositiveIntegerField(default=0, editable=False)),
                ('draft_settings', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.llmsettings')),
                ('llm_settings', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='agents', to='agents.llmsettings')),
            ],
            options={
                'ordering': ['-created_at'],
                'indexes': [models.Index(fields=['archived_at', '-created_at'], name='agents_agen_archive_09a627_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('retrieval_top_k__range', (1, 20))), name='top_k_in_range'), models.CheckConstraint(condition=models.Q(('retrieval_dense_weight__range', (0, 1))), name='dense_weight_in_range'), models.CheckConstraint(condition=models.Q(('retrieval_threshold__range', (0, 1))), name='threshold_in_range')],
            },
        ),
        migrations.CreateModel(
            name='AgentVersion',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('number', models.PositiveIntegerField()),
                ('configuration', models.JSONField()),
                ('note', models.CharField(blank=True, max_length=500)),
                ('restored_number', models.PositiveIntegerField(blank=True, null=True)),
                ('published_by_id', models.UUIDField(blank=True, null=True)),
                ('published_by', models.CharField(blank=True, max_length=254)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='agents.agent')),
            ],
            options={
                'ordering': ['-number'],
                'constraints': [models.UniqueConstraint(fields=('agent', 'number'), name='version_number_unique_in_agent')],
            },
        ),
    ]
