import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_squashed'),
    ]

    operations = [
        migrations.CreateModel(
            name='DeadLetter',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('task', models.CharField(max_length=200)),
                ('arguments', models.JSONField(default=list)),
                ('error', models.CharField(max_length=500)),
                ('times', models.PositiveIntegerField(default=1)),
            ],
            options={
                'ordering': ['-updated_at'],
                'constraints': [models.UniqueConstraint(fields=('task', 'arguments'), name='one_dead_letter_for_a_task')],
            },
        ),
    ]
