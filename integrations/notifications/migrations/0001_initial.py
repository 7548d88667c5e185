import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('user_id', models.UUIDField(editable=False)),
                ('kind', models.CharField(choices=[('handover', 'A visitor wants a person'), ('assigned', 'A conversation was given to me'), ('lead', 'A visitor registered'), ('document', 'A document could not be read')], max_length=10)),
                ('key', models.CharField(max_length=80)),
                ('text', models.CharField(max_length=300)),
                ('path', models.CharField(max_length=300)),
                ('is_shown', models.BooleanField(default=True)),
                ('read_at', models.DateTimeField(blank=True, null=True)),
                ('is_mail_due', models.BooleanField(default=False)),
            ],
            options={
                'ordering': ['-created_at'],
                'indexes': [models.Index(fields=['user_id', '-created_at'], name='notificatio_user_id_05b4bc_idx'), models.Index(condition=models.Q(('is_shown', True), ('read_at', None)), fields=['user_id'], name='notification_unread'), models.Index(condition=models.Q(('is_mail_due', True)), fields=['created_at'], name='notification_mail_due')],
                'constraints': [models.UniqueConstraint(fields=('user_id', 'kind', 'key'), name='notification_told_once')],
            },
        ),
        migrations.CreateModel(
            name='Preference',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('user_id', models.UUIDField(editable=False)),
                ('kind', models.CharField(choices=[('handover', 'A visitor wants a person'), ('assigned', 'A conversation was given to me'), ('lead', 'A visitor registered'), ('document', 'A document could not be read')], max_length=10)),
                ('in_app', models.BooleanField(default=True)),
                ('mail', models.BooleanField(default=False)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user_id', 'kind'), name='preference_one_for_a_kind')],
            },
        ),
    ]
