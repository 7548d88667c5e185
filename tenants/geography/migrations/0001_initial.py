import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0001_squashed'),
    ]

    operations = [
        migrations.CreateModel(
            name='Country',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('iso_code', models.CharField(blank=True, max_length=3)),
                ('company', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.company')),
            ],
            options={
                'verbose_name_plural': 'countries',
                'ordering': ['name', 'id'],
                'abstract': False,
                'constraints': [models.UniqueConstraint(models.F('company'), django.db.models.functions.text.Lower('name'), name='country_name_unique', nulls_distinct=False), models.UniqueConstraint(models.F('company'), models.F('iso_code'), condition=models.Q(('iso_code', ''), _negated=True), name='country_iso_code_unique', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='State',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('code', models.CharField(blank=True, max_length=10)),
                ('company', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.company')),
                ('country', models.ForeignKey(on_delete=django.db.models.deletion.RESTRICT, related_name='states', to='geography.country')),
            ],
            options={
                'ordering': ['name', 'id'],
                'abstract': False,
                'constraints': [models.UniqueConstraint(models.F('company'), models.F('country'), django.db.models.functions.text.Lower('name'), name='state_name_unique_in_country', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='City',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('postal_code_prefix', models.CharField(blank=True, max_length=10)),
                ('company', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.company')),
                ('state', models.ForeignKey(on_delete=django.db.models.deletion.RESTRICT, related_name='cities', to='geography.state')),
            ],
            options={
                'verbose_name_plural': 'cities',
                'ordering': ['name', 'id'],
                'abstract': False,
                'constraints': [models.UniqueConstraint(models.F('company'), models.F('state'), django.db.models.functions.text.Lower('name'), name='city_name_unique_in_state', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='Address',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('street_address', models.CharField(max_length=255)),
                ('postal_code', models.CharField(blank=True, max_length=20)),
                ('lat', models.FloatField(blank=True, null=True)),
                ('lan', models.FloatField(blank=True, null=True)),
                ('is_primary', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('company', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='addresses', to='tenants.company')),
                ('city', models.ForeignKey(on_delete=django.db.models.deletion.RESTRICT, related_name='addresses', to='geography.city')),
            ],
            options={
                'verbose_name_plural': 'addresses',
                'ordering': ['-is_primary', 'id'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_primary', True)), fields=('company',), name='one_primary_address')],
            },
        ),
    ]
