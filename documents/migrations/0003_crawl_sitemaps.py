from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('documents', '0002_knowledge'),
    ]

    operations = [
        migrations.AddField(
            model_name='crawl',
            name='sitemaps',
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
    ]
