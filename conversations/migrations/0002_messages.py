import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='conversation',
            name='last_position',
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        # Until now every message that was ever sent was counted, and none could be archived by itself.
        migrations.RunSQL(
            "UPDATE conversations_conversation SET last_position = message_count", migrations.RunSQL.noop
        ),
        migrations.AddField(
            model_name='message',
            name='feedback_comment',
            field=models.CharField(blank=True, max_length=2000),
        ),
        migrations.AddField(
            model_name='message',
            name='replaces',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='replaced_by', to='conversations.message'),
        ),
        migrations.AddField(
            model_name='message',
            name='user_feedback',
            field=models.SmallIntegerField(blank=True, choices=[(-1, 'Bad'), (1, 'Good')], null=True),
        ),
        migrations.AlterField(
            model_name='message',
            name='reply_to',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='replies', to='conversations.message'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(condition=models.Q(('archived_at', None)), fields=('reply_to',), name='message_one_live_reply'),
        ),
    ]
