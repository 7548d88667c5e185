import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0002_people"),
        ("tenants", "0001_squashed"),
    ]

    operations = [
        migrations.AddField(
            model_name="citation",
            name="masked",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("title"), "gin_trgm_ops"
                ),
                name="conversation_titles",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("content"), "gin_trgm_ops"
                ),
                condition=models.Q(("archived_at", None), ("status", "completed")),
                name="message_words",
            ),
        ),
    ]
