from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.utils import timezone

from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal, Role
from knowrithm.security.hashing import keyed_hash
from tenants.models import ApiKey, Invitation, User, UserSession


def api_keys_for(actor: Principal) -> QuerySet[ApiKey]:
    """The keys that a person may revoke: an admin all of the company, others their own."""
    keys = ApiKey.objects.filter(company_id=actor.company_id)
    return keys if actor.is_admin else keys.filter(user_id=actor.id)


def open_sessions(user: User) -> QuerySet[UserSession]:
    return user.sessions.filter(revoked_at=None, expires_at__gt=timezone.now())


def session_by_id(session_id: object) -> UserSession | None:
    """With its person and company, in one query; None for anything that is no session's id."""
    try:
        pk = uuid.UUID(str(session_id))
    except ValueError:
        return None
    return UserSession.objects.select_related("user__company").filter(pk=pk).first()


def person_to_govern(actor: Principal, user_id: uuid.UUID) -> User:
    """Somebody whose account the actor may act on: a super admin's is everybody, an admin's the own company.

    Raises `NotFoundError`.
    """
    people = User.objects.select_related("company")
    if actor.role != Role.SUPER_ADMIN:
        people = people.filter(company_id=actor.company_id)
    user = people.filter(pk=user_id).first()
    if user is None:
        raise NotFoundError("There is no such user.")
    return user


def invitations_of(actor: Principal) -> QuerySet[Invitation]:
    return Invitation.objects.filter(company_id=actor.company_id).select_related("invited_by")


def password_state_of(user: User) -> str:
    """Changes with the password, and says nothing about it."""
    return keyed_hash(user.password, purpose="password-state")
