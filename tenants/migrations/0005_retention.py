import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0004_people'),
    ]

    operations = [
        migrations.AddField(
            model_name='company',
            name='archive_retention_days',
            field=models.PositiveIntegerField(blank=True, help_text='Empty: kept for ever.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='days to keep archived documents'),
        ),
        migrations.AddField(
            model_name='company',
            name='version_retention_days',
            field=models.PositiveIntegerField(blank=True, default=30, help_text='Empty: kept for ever.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='days to keep earlier versions that no answer cites'),
        ),
    ]
