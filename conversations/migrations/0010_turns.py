from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0009_left"),
    ]

    operations = [
        migrations.AddField(
            model_name="citation",
            name="masked",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
