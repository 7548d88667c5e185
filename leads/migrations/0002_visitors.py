from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('leads', '0001_squashed'),
    ]

    operations = [
        migrations.AddField(
            model_name='leadconsent',
            name='is_unproven',
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name='leadevent',
            name='kind',
            field=models.CharField(choices=[('status', 'Status'), ('note', 'Note'), ('merged', 'Merged'), ('unmerged', 'Unmerged'), ('imported', 'Imported'), ('created', 'Created')], max_length=10),
        ),
    ]
