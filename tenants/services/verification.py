"""Proving an e-mail address by a mailed link."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from knowrithm.security.hashing import keyed_hash
from tenants.audit.services import changed_fields, log_of, record_event
from tenants.enums import Letter, UserStatus
from tenants.exceptions import InvalidLinkError
from tenants.models import EmailVerification, User
from tenants.tasks import queue_letter

VERIFIED_FIELDS = ("email_verified", "status")


def request_verification(*, email: str) -> None:
    """Mail a link to this address, if it is an unverified person's. Takes the same time for any other address."""
    queue_letter(Letter.VERIFY_EMAIL, _id_of(email))


def _id_of(email: str) -> uuid.UUID:
    """The person's, or one that is nobody's: the worker finds out, so that the request does the same for both."""
    found = User.objects.filter(email__iexact=email).values_list("pk", flat=True).first()
    return found or uuid.uuid4()


@transaction.atomic
def verify_email(*, token: str) -> User:
    """Raises `InvalidLinkError` when the token is not good, or not good any more."""
    token_hash = keyed_hash(token, purpose=Letter.VERIFY_EMAIL)
    link = EmailVerification.objects.select_for_update().filter(token_hash=token_hash).first()
    user = User.objects.select_related("company").get(pk=link.user_id) if link else None
    if link is None or user is None or not link.is_open or link.email != user.email:
        raise InvalidLinkError("This link is not valid any more. Ask for a new one.")
    link.used_at = timezone.now()
    link.save(update_fields=["used_at", "updated_at"])
    before = {name: getattr(user, name) for name in VERIFIED_FIELDS}
    mark_verified(user)
    user.save(update_fields=[*VERIFIED_FIELDS, "updated_at"])
    after = {name: getattr(user, name) for name in VERIFIED_FIELDS}
    with log_of(user.company):
        record_event(actor=None, event_type="user.email_verified", entity=user, changes=changed_fields(before, after))
    return user


def mark_verified(user: User) -> None:
    """Not saved yet."""
    user.email_verified = True
    if user.status == UserStatus.PENDING_VERIFICATION:
        user.status = UserStatus.ACTIVE
