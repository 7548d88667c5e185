from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0003_turns'),
    ]

    operations = [
        migrations.AlterField(
            model_name='handover',
            name='end',
            field=models.CharField(blank=True, choices=[('handed_back', 'Handed back'), ('closed', 'Closed'), ('left', 'Its person left'), ('silent', 'Its person did not answer')], max_length=11),
        ),
        migrations.AlterField(
            model_name='handover',
            name='reason',
            field=models.CharField(choices=[('visitor', 'The visitor asked'), ('rule', 'A rule of the agent'), ('evidence', 'Questions stayed open'), ('guardrail', 'A guardrail refused'), ('person', 'A person took it'), ('left', 'Its person left'), ('silent', 'Its person did not answer')], max_length=9),
        ),
    ]
