"""What a worker does to mail notifications, one by one. What was read meanwhile is not mailed."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from integrations.notifications.enums import Kind
from integrations.notifications.links import Subscription, unsubscribe_link
from integrations.notifications.models import Notification
from knowrithm.jobs import current_schema
from tenants import mail
from tenants.enums import Letter, UserStatus
from tenants.models import User

log = structlog.get_logger(__name__)

LIFETIME = timedelta(hours=24)  # what could not be mailed by then is old news
KEPT = timedelta(days=90)


def mail_due() -> None:
    """Beat repeats it for what a mail server did not take."""
    now = timezone.now()
    Notification.objects.filter(created_at__lt=now - KEPT).delete()
    rows = Notification.objects.filter(is_mail_due=True)
    rows.filter(created_at__lt=now - LIFETIME).update(is_mail_due=False)
    for row in rows.order_by("created_at")[:200]:
        # Claimed first: of two workers one mails it.
        if not rows.filter(pk=row.pk).update(is_mail_due=False) or row.read_at is not None:
            continue
        try:
            _mail(row)
        except mail.MailNotSentError as error:
            log.warning("notification_not_mailed", notification=str(row.pk), error=str(error))
            Notification.objects.filter(pk=row.pk).update(is_mail_due=True)
            return


def _mail(row: Notification) -> None:
    schema = current_schema()
    user = User.objects.filter(pk=row.user_id, company__schema_name=schema, status=UserStatus.ACTIVE).first()
    if user is None:
        return
    kind = Kind(row.kind)
    unsubscribe = unsubscribe_link(Subscription(schema, user.pk, kind))
    mail.send(
        Letter.NOTIFICATION, to=user.email, subject=row.text,
        context={
            "user": user, "text": row.text, "link": f"{settings.BASE_URL}{row.path}", "kind": kind.label,
            "unsubscribe": unsubscribe,
        },
        headers={"List-Unsubscribe": f"<{unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    )  # fmt: skip
