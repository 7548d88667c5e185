from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('documents', '0001_squashed'),
    ]

    operations = [
        migrations.AddField(
            model_name='ingestionjob',
            name='fetches',
            field=models.BooleanField(default=False),
        ),
    ]
