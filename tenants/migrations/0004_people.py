from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0003_company_emails'),
    ]

    operations = [
        migrations.AddField(
            model_name='singlesignon',
            name='confirms_addresses',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='user',
            name='pending_email',
            field=models.EmailField(blank=True, default='', editable=False, max_length=254),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='emailverification',
            name='replaced',
            field=models.EmailField(blank=True, default='', editable=False, max_length=254),
            preserve_default=False,
        ),
    ]
