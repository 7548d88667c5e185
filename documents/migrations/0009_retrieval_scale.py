from django.db import migrations


class Migration(migrations.Migration):
    """What every search compares stays in the row: fetching it from beside the table took two thirds of the time.

    Rows that are there already are moved when they are written next.
    """

    dependencies = [
        ('documents', '0008_shadow_index'),
    ]

    operations = [
        migrations.RunSQL(
            'ALTER TABLE documents_documentchunk'
            ' ALTER COLUMN embedding SET STORAGE MAIN, ALTER COLUMN lexical SET STORAGE MAIN',
            'ALTER TABLE documents_documentchunk'
            ' ALTER COLUMN embedding SET STORAGE EXTERNAL, ALTER COLUMN lexical SET STORAGE EXTERNAL',
        ),
    ]
