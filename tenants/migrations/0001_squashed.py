import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
import django_tenants.postgresql_backend.base
import knowrithm.db.fields
import knowrithm.principal
import tenants.models.keys
import tenants.ocr_languages
import uuid
from django.conf import settings
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models
from pgvector.django import VectorExtension


class Migration(migrations.Migration):

    replaces = [('tenants', '0001_initial'), ('tenants', '0002_extensions'), ('tenants', '0003_governance'), ('tenants', '0004_provider_identity'), ('tenants', '0005_formats'), ('tenants', '0006_retrieval_scale'), ('tenants', '0007_trigrams')]

    initial = True

    dependencies = [
    ]

    operations = [
        # Extensions belong to the shared schema: made from a tenant's migration, one would land in that tenant.
        VectorExtension(),
        TrigramExtension(),  # for searches in the midst of words
        migrations.RunSQL(
            # The terms of a chunk as an array, for the index by which a large company's chunks are found by words:
            # '{8:0.5,10:0.25}/1000000000' → {7,9}. pgvector writes them from 1, the platform counts from 0.
            """
            CREATE FUNCTION public.lexical_terms(public.sparsevec) RETURNS integer[]
            LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000
            RETURN (
                SELECT array_agg(split_part(entry, ':', 1)::integer - 1)
                FROM unnest(string_to_array(trim(BOTH '{}' FROM split_part($1::text, '/', 1)), ',')) AS entry
                WHERE entry <> ''
            )
            """,
            'DROP FUNCTION public.lexical_terms(public.sparsevec)',
        ),
        migrations.CreateModel(
            name='User',
            fields=[
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('email', models.EmailField(max_length=254)),
                ('username', models.CharField(max_length=150)),
                ('first_name', models.CharField(blank=True, max_length=100)),
                ('last_name', models.CharField(blank=True, max_length=100)),
                ('role', models.CharField(choices=[('super_admin', 'Super admin'), ('admin', 'Admin'), ('user', 'User')], default=knowrithm.principal.Role['USER'], max_length=20)),
                ('status', models.CharField(choices=[('active', 'Active'), ('inactive', 'Inactive'), ('suspended', 'Suspended'), ('pending_verification', 'Pending Verification')], default='active', max_length=24)),
                ('email_verified', models.BooleanField(default=False)),
                ('timezone', models.CharField(default='UTC', max_length=64)),
                ('language', models.CharField(default='en', max_length=16)),
                ('preferences', models.JSONField(blank=True, default=dict)),
                ('login_attempts', models.PositiveIntegerField(default=0, editable=False)),
                ('locked_until', models.DateTimeField(blank=True, null=True)),
                ('must_reset_password', models.BooleanField(default=False)),
                ('two_factor_enabled', models.BooleanField(default=False, editable=False)),
                ('archived_at', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='TemplateSchema',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.CharField(max_length=64, unique=True)),
                ('ddl', models.TextField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name='Company',
            fields=[
                ('schema_name', models.CharField(db_index=True, max_length=63, unique=True, validators=[django_tenants.postgresql_backend.base._check_schema_name])),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('archived_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('name', models.CharField(max_length=200)),
                ('email', models.EmailField(max_length=254)),
                ('phone', models.CharField(blank=True, max_length=40)),
                ('website', models.URLField(blank=True)),
                ('industry', models.CharField(blank=True, max_length=100)),
                ('is_ready', models.BooleanField(default=False, editable=False)),
                ('is_active', models.BooleanField(default=True)),
                ('is_verified', models.BooleanField(default=False)),
                ('encrypts_lead_data', models.BooleanField(default=False, editable=False)),
                ('logo_digest', models.CharField(blank=True, editable=False, max_length=64)),
                ('logo_url', models.URLField(blank=True, editable=False, max_length=500)),
                ('purge_started_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('requires_two_factor', models.BooleanField(default=False)),
                ('requires_sso', models.BooleanField(default=False, editable=False)),
                ('api_key_max_per_hour', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='most calls of an API key per hour')),
                ('api_key_max_per_day', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='most calls of an API key per day')),
                ('ocr_languages', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=30), default=tenants.ocr_languages.default_languages, help_text='Of scanned pages, as tesseract calls them, the most frequent first.', size=None)),
                ('audit_retention_days', models.PositiveIntegerField(blank=True, help_text='Empty: kept for ever.', null=True, validators=[django.core.validators.MinValueValidator(30)])),
            ],
            options={
                'verbose_name_plural': 'companies',
                'ordering': ['-created_at'],
                'constraints': [models.CheckConstraint(condition=models.Q(('audit_retention_days', None), ('audit_retention_days__gte', 30), _connector='OR'), name='company_audit_retention_not_too_short')],
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=100)),
                ('key', models.CharField(editable=False, max_length=64, unique=True)),
                ('secret_hash', models.CharField(editable=False, max_length=64)),
                ('pepper_id', models.CharField(blank=True, editable=False, max_length=12)),
                ('previous_hash', models.CharField(blank=True, editable=False, max_length=64)),
                ('previous_pepper_id', models.CharField(blank=True, editable=False, max_length=12)),
                ('previous_expires_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('rotated_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('scopes', models.JSONField(default=tenants.models.keys.default_scopes)),
                ('permissions', models.JSONField(blank=True, default=dict)),
                ('allowed_networks', models.JSONField(blank=True, default=list)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('rate_limit_per_hour', models.PositiveIntegerField(default=1000)),
                ('rate_limit_per_day', models.PositiveIntegerField(default=10000)),
                ('usage_count', models.PositiveBigIntegerField(default=0, editable=False)),
                ('last_used_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='api_keys', to=settings.AUTH_USER_MODEL)),
                ('company', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_keys', to='tenants.company')),
            ],
            options={
                'verbose_name': 'API key',
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='AgentRoute',
            fields=[
                ('agent_id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('company', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='agent_routes', to='tenants.company')),
            ],
        ),
        migrations.AddField(
            model_name='user',
            name='company',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='users', to='tenants.company'),
        ),
        migrations.CreateModel(
            name='Domain',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('domain', models.CharField(db_index=True, max_length=253, unique=True)),
                ('is_primary', models.BooleanField(db_index=True, default=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='domains', to='tenants.company')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='EmailVerification',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('token_hash', models.CharField(editable=False, max_length=64, unique=True)),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('email', models.EmailField(max_length=254)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='email_verifications', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('email', models.EmailField(max_length=254)),
                ('role', models.CharField(choices=[('admin', 'Admin'), ('user', 'User')], default=knowrithm.principal.Role['USER'], max_length=20)),
                ('token_hash', models.CharField(blank=True, db_index=True, editable=False, max_length=64)),
                ('expires_at', models.DateTimeField()),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('accepted_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('company', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='invitations', to='tenants.company')),
                ('invited_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
                'constraints': [models.UniqueConstraint(models.F('company'), django.db.models.functions.text.Lower('email'), condition=models.Q(('accepted_at', None), ('revoked_at', None)), name='invitation_open_once')],
            },
        ),
        migrations.CreateModel(
            name='PasswordReset',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('token_hash', models.CharField(editable=False, max_length=64, unique=True)),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('password_state', models.CharField(editable=False, max_length=64)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='password_resets', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='RecoveryCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code_hash', models.CharField(max_length=64)),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='recovery_codes', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'code_hash'), name='recovery_code_unique')],
            },
        ),
        migrations.CreateModel(
            name='SingleSignOn',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('issuer', models.URLField()),
                ('client_id', models.CharField(max_length=300)),
                ('client_secret', knowrithm.db.fields.EncryptedTextField(blank=True)),
                ('is_enabled', models.BooleanField(default=False)),
                ('creates_users', models.BooleanField(default=False)),
                ('default_role', models.CharField(choices=[('admin', 'Admin'), ('user', 'User')], default=knowrithm.principal.Role['USER'], max_length=20)),
                ('company', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='single_sign_on', to='tenants.company')),
            ],
            options={
                'verbose_name_plural': 'single sign-on',
            },
        ),
        migrations.CreateModel(
            name='ProviderIdentity',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('issuer', models.URLField()),
                ('subject', models.CharField(max_length=255)),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='provider_identity', to=settings.AUTH_USER_MODEL)),
                ('single_sign_on', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='identities', to='tenants.singlesignon')),
            ],
            options={
                'verbose_name_plural': 'provider identities',
                'constraints': [models.UniqueConstraint(fields=('single_sign_on', 'issuer', 'subject'), name='provider_identity_of_one_person')],
            },
        ),
        migrations.CreateModel(
            name='EmailDomain',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('domain', models.CharField(max_length=253, unique=True)),
                ('single_sign_on', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='email_domains', to='tenants.singlesignon')),
            ],
            options={
                'ordering': ['domain'],
            },
        ),
        migrations.CreateModel(
            name='SystemConfig',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('config_key', models.CharField(max_length=100)),
                ('encrypted_value', knowrithm.db.fields.EncryptedTextField(editable=False)),
                ('config_type', models.CharField(blank=True, max_length=40)),
                ('description', models.CharField(blank=True, max_length=500)),
                ('is_sensitive', models.BooleanField(default=False)),
                ('company', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='configuration', to='tenants.company')),
            ],
            options={
                'verbose_name': 'configuration entry',
                'verbose_name_plural': 'configuration',
                'ordering': ['-updated_at'],
                'constraints': [models.UniqueConstraint(fields=('company', 'config_key'), name='config_key_unique', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='TwoFactor',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('secret', knowrithm.db.fields.EncryptedTextField()),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_step', models.BigIntegerField(default=0)),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='two_factor', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='UserSession',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('kind', models.CharField(choices=[('api', 'Api'), ('browser', 'Browser')], default='api', max_length=8)),
                ('refresh_jti', models.CharField(blank=True, max_length=64)),
                ('ip_address', models.GenericIPAddressField(blank=True, null=True, verbose_name='IP address')),
                ('user_agent', models.CharField(blank=True, max_length=300)),
                ('last_seen_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('expires_at', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('impersonator', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='impersonations', to=settings.AUTH_USER_MODEL)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sessions', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-last_seen_at'],
            },
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('email'), name='user_email_unique'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(models.F('company'), django.db.models.functions.text.Lower('username'), name='user_username_unique_in_company'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('role', knowrithm.principal.Role['SUPER_ADMIN']), ('company__isnull', False), _connector='OR'), name='user_without_company_is_super_admin'),
        ),
    ]
