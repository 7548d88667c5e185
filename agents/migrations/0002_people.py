from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0001_squashed'),
    ]

    operations = [
        migrations.AddField(
            model_name='agent',
            name='rating_sum',
            field=models.IntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='agent',
            name='ratings',
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
    ]
