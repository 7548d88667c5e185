import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('catalog', '0001_initial'), ('catalog', '0002_models_settings')]

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Provider',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('slug', models.SlugField(max_length=60, unique=True)),
                ('label', models.CharField(max_length=100)),
                ('kind', models.CharField(choices=[('llm', 'Llm'), ('embedding', 'Embedding'), ('both', 'Both')], max_length=10)),
                ('protocol', models.CharField(choices=[('openai', 'OpenAI-compatible'), ('anthropic', 'Anthropic'), ('google', 'Google Gemini'), ('builtin', 'Built-in')], default='openai', max_length=10)),
                ('description', models.CharField(blank=True, max_length=300)),
                ('default_base_url', models.URLField(blank=True)),
                ('documentation_url', models.URLField(blank=True)),
                ('logo_url', models.URLField(blank=True)),
                ('pricing_tier', models.CharField(choices=[('free', 'Free'), ('budget', 'Budget'), ('mid', 'Mid'), ('premium', 'Premium'), ('variable', 'Variable')], default='mid', max_length=8)),
                ('pricing', models.JSONField(blank=True, default=dict)),
                ('tags', models.JSONField(blank=True, default=list)),
                ('requires_api_key', models.BooleanField(default=True)),
                ('requires_base_url', models.BooleanField(default=False)),
                ('is_featured', models.BooleanField(default=False)),
                ('is_active', models.BooleanField(default=True)),
                ('sort_order', models.PositiveSmallIntegerField(default=100)),
            ],
            options={
                'ordering': ['sort_order', 'label'],
            },
        ),
        migrations.CreateModel(
            name='ProviderModel',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=120)),
                ('label', models.CharField(blank=True, max_length=120)),
                ('kind', models.CharField(choices=[('llm', 'Llm'), ('embedding', 'Embedding')], max_length=10)),
                ('description', models.CharField(blank=True, max_length=300)),
                ('context_window', models.PositiveIntegerField(blank=True, null=True)),
                ('max_tokens', models.PositiveIntegerField(blank=True, null=True)),
                ('embedding_dimension', models.PositiveIntegerField(blank=True, null=True)),
                ('input_price', models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True)),
                ('output_price', models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True)),
                ('currency', models.CharField(default='USD', max_length=3)),
                ('supports_streaming', models.BooleanField(default=True)),
                ('supports_function_calling', models.BooleanField(default=False)),
                ('supports_vision', models.BooleanField(default=False)),
                ('tags', models.JSONField(blank=True, default=list)),
                ('is_recommended', models.BooleanField(default=False)),
                ('is_deprecated', models.BooleanField(default=False)),
                ('is_active', models.BooleanField(default=True)),
                ('sort_order', models.PositiveSmallIntegerField(default=100)),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='models', to='catalog.provider')),
            ],
            options={
                'ordering': ['sort_order', 'name'],
                'constraints': [models.UniqueConstraint(models.F('provider'), django.db.models.functions.text.Lower('name'), name='model_name_unique_in_provider'), models.CheckConstraint(condition=models.Q(('input_price__gte', 0), ('output_price__gte', 0)), name='prices_not_negative')],
            },
        ),
    ]
