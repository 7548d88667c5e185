from django.db import migrations, models

# Rated before the agents counted ratings.
COUNT_RATINGS = """
UPDATE agents_agent SET ratings = rated.count, rating_sum = rated.sum FROM (
  SELECT conversation.agent_id, count(*), sum(message.user_feedback)
  FROM conversations_message AS message
    JOIN conversations_conversation AS conversation ON conversation.id = message.conversation_id
  WHERE message.user_feedback IS NOT NULL GROUP BY 1
) AS rated WHERE rated.agent_id = agents_agent.id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0002_people'),
        ('conversations', '0001_squashed'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('user_feedback__isnull', False)), fields=['conversation'], name='message_rated'),
        ),
        migrations.RunSQL(COUNT_RATINGS, migrations.RunSQL.noop),
    ]
