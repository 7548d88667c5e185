from django.db import migrations, models

KINDS = [
    ('handover', 'A visitor wants a person'), ('assigned', 'A conversation was given to me'),
    ('message', 'A visitor wrote in my conversation'), ('lead', 'A visitor registered, or a lead was added'),
    ('document', 'A document could not be read'),
]


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='notification',
            name='kind',
            field=models.CharField(choices=KINDS, max_length=10),
        ),
        migrations.AlterField(
            model_name='preference',
            name='kind',
            field=models.CharField(choices=KINDS, max_length=10),
        ),
    ]
