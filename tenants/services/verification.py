"""Proving an e-mail address by a mailed link, and changing one's own by it."""

from __future__ import annotations

import uuid

from django.db import IntegrityError, transaction
from django.utils import timezone

from knowrithm.errors import InvalidInputError
from knowrithm.principal import Principal
from knowrithm.security.hashing import keyed_hash
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, log_of, record_event
from tenants.enums import Letter, UserStatus
from tenants.exceptions import AlreadyRegisteredError, InvalidLinkError
from tenants.models import EmailVerification, User
from tenants.services.sessions import try_password
from tenants.tasks import queue_letter

VERIFIED_FIELDS = ("email", "email_verified", "status")


def request_verification(*, email: str) -> None:
    """Mail a link to this address, if it is an unverified person's. Takes the same time for any other address."""
    queue_letter(Letter.VERIFY_EMAIL, _id_of(email))


def _id_of(email: str) -> uuid.UUID:
    """The person's, or one that is nobody's: the worker finds out, so that the request does the same for both."""
    found = User.objects.filter(email__iexact=email).values_list("pk", flat=True).first()
    return found or uuid.uuid4()


def change_email(*, actor: Principal, user: User, email: str, password: str) -> None:
    """The person's own address is another once they have opened the link that is mailed to it; until then the old one
    stays. Asking for the address that one has takes an earlier wish back. A wrong password counts as a failed sign-in.

    Raises `InvalidInputError` for the password, `AccountLockedError`, `AlreadyRegisteredError`.
    """
    actor.must_be_oneself()
    if not user.has_usable_password():
        text = "You have no password yet. Set one first, by “Forgot your password?” on the sign-in page."
        raise InvalidInputError(text, fields={"password": [text]})
    if not try_password(user, password):
        raise InvalidInputError("The current password is not right.", fields={"password": ["Not right."]})
    is_own = email.lower() == user.email.lower()
    if not is_own and User.objects.filter(email__iexact=email).exists():
        raise _taken()
    before, user.pending_email = user.pending_email, "" if is_own else email
    with transaction.atomic():
        user.save(update_fields=["pending_email", "updated_at"])
        if user.pending_email:
            queue_letter(Letter.VERIFY_EMAIL, user.id)
        with log_of(user.company):
            record_event(
                actor=actor, event_type="user.email_change_asked", entity=user, risk_level=RiskLevel.MEDIUM,
                changes=changed_fields({"pending_email": before}, {"pending_email": user.pending_email}),
            )  # fmt: skip


@transaction.atomic
def verify_email(*, token: str) -> User:
    """The person whose address is confirmed, or now is the one that they had asked for.

    Raises `InvalidLinkError` when the token is not good, or not good any more, and `AlreadyRegisteredError` when
    somebody else has got the new address meanwhile.
    """
    token_hash = keyed_hash(token, purpose=Letter.VERIFY_EMAIL)
    link = EmailVerification.objects.select_for_update().filter(token_hash=token_hash).first()
    people = User.objects.select_related("company").select_for_update(of=("self",))
    user = people.get(pk=link.user_id) if link else None
    if link is None or user is None or not link.is_open or link.email not in {user.email, user.pending_email}:
        raise InvalidLinkError("This link is not valid any more. Ask for a new one.")
    before = {name: getattr(user, name) for name in VERIFIED_FIELDS}
    if is_new := link.email != user.email:
        link.replaced, user.email, user.pending_email = user.email, link.email, ""
        user.password_resets.all().delete()  # mailed to the old address
        queue_letter(Letter.ADDRESS_CHANGED, link.id)
    link.used_at = timezone.now()
    link.save(update_fields=["used_at", "replaced", "updated_at"])
    mark_verified(user)
    try:
        with transaction.atomic():
            user.save(update_fields=[*VERIFIED_FIELDS, "pending_email", "updated_at"])
    except IntegrityError:
        raise _taken() from None
    after = {name: getattr(user, name) for name in VERIFIED_FIELDS}
    with log_of(user.company):
        record_event(
            actor=None, event_type="user.email_changed" if is_new else "user.email_verified", entity=user,
            changes=changed_fields(before, after), risk_level=RiskLevel.MEDIUM if is_new else RiskLevel.LOW,
        )  # fmt: skip
    return user


def _taken() -> AlreadyRegisteredError:
    sentence = "An account with this e-mail address exists already."
    return AlreadyRegisteredError(sentence, fields={"email": [sentence]})


def mark_verified(user: User) -> None:
    """Not saved yet."""
    user.email_verified = True
    if user.status == UserStatus.PENDING_VERIFICATION:
        user.status = UserStatus.ACTIVE
