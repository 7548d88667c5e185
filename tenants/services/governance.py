"""What an admin changes of other people: status, role and, as a super admin, the rest; and what ends with it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from knowrithm.errors import ConflictError, ForbiddenError
from knowrithm.principal import Principal, Role
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, log_of, record_event
from tenants.enums import UserStatus
from tenants.models import ApiKey, Company, ProviderIdentity, User
from tenants.selectors import get_person, live_company
from tenants.services.sessions import end_sessions
from tenants.signals import person_left

CHANGEABLE = ("email", "username", "first_name", "last_name", "email_verified")
BY_ADMINS = frozenset({"first_name", "last_name"})


@transaction.atomic
def change_user_status(*, actor: Principal, user_id: uuid.UUID, status: str, reason: str = "") -> User:
    """Whoever is not active any more is signed out everywhere, and their API keys are refused. An archived person who
    is made active is restored.

    Raises `NotFoundError`, `ForbiddenError` (oneself), `ConflictError` (the last active admin).
    """
    user = _person_to_change(actor, user_id)
    before = {"status": user.status, "archived_at": user.archived_at}
    if status != UserStatus.ACTIVE:
        _refuse_for_last_admin(user)
        end_sessions(user, actor=actor)
    user.status = status
    user.archived_at = None if status == UserStatus.ACTIVE else user.archived_at
    user.save(update_fields=["status", "archived_at", "updated_at"])
    if status != UserStatus.ACTIVE:
        person_left.send(User, user=user, company=user.company)
    after = {"status": user.status, "archived_at": user.archived_at}
    _record(actor, user, "user.status_changed", changed_fields(before, after), RiskLevel.MEDIUM, reason)
    return user


@transaction.atomic
def archive_user(*, actor: Principal, user_id: uuid.UUID, reason: str = "") -> User:
    """Takes the person out of the lists and signs them out; what they made stays. Making them active restores them.

    Raises as `change_user_status` does.
    """
    user = _person_to_change(actor, user_id)
    before = {"status": user.status, "archived_at": user.archived_at}
    _refuse_for_last_admin(user)
    end_sessions(user, actor=actor)
    user.status, user.archived_at = UserStatus.INACTIVE, user.archived_at or timezone.now()
    user.save(update_fields=["status", "archived_at", "updated_at"])
    person_left.send(User, user=user, company=user.company)
    after = {"status": user.status, "archived_at": user.archived_at}
    _record(actor, user, "user.archived", changed_fields(before, after), RiskLevel.HIGH, reason)
    return user


@transaction.atomic
def change_user_role(
    *, actor: Principal, user_id: uuid.UUID, role: str, company_id: uuid.UUID | None = None, reason: str = ""
) -> User:
    """Who becomes a super admin leaves their company, and their API keys are revoked. A super admin who becomes
    something else needs a company: `company_id`.

    Raises `NotFoundError`, `ForbiddenError` (oneself, or a role beyond one's own), `ConflictError` (the last active
    admin, or no company).
    """
    if role == Role.SUPER_ADMIN and not actor.is_super_admin:
        raise ForbiddenError("Only a super admin can make somebody a super admin.")
    user = _person_to_change(actor, user_id)
    before = {"role": user.role, "company": user.company_id}
    was_in = user.company
    if role != user.role:
        _refuse_for_last_admin(user)
        if role == Role.SUPER_ADMIN:
            _leave_company(user)
        elif user.company is None:
            user.company = _company_to_join(user, company_id)
        if Role.SUPER_ADMIN in {role, user.role}:
            end_sessions(user, actor=actor)
        user.role = role
        user.save(update_fields=["role", "company", "updated_at"])
    after = {"role": user.role, "company": user.company_id}
    if was_in is not None and user.company is None:  # the company is told who left it, not the platform alone
        person_left.send(User, user=user, company=was_in)
        changes = changed_fields(before, after)
        _record(actor, user, "user.left_company", changes, RiskLevel.CRITICAL, reason, company=was_in)
    _record(actor, user, "user.role_changed", changed_fields(before, after), RiskLevel.HIGH, reason)
    return user


@transaction.atomic
def update_user(*, actor: Principal, user_id: uuid.UUID, changes: Mapping[str, Any]) -> User:
    """A super admin changes anything of anybody: `CHANGEABLE`, and role and status by the services above; an admin the
    names (`BY_ADMINS`) of the company's people.

    Raises what they do, `ForbiddenError` for others, `ConflictError` for a name or an address that is taken.
    """
    if not (actor.is_super_admin or (actor.is_admin and changes.keys() <= BY_ADMINS)):
        raise ForbiddenError("Only a super admin can change more of another person's account than the names.")
    user = User.objects.select_for_update(of=("self",)).get(pk=get_person(actor, user_id).pk)
    before = {name: getattr(user, name) for name in CHANGEABLE}
    if changes.get("email", user.email).lower() != user.email.lower():
        user.email_verified = False  # single sign-on trusts an address only once its owner has confirmed it
        user.pending_email = ""
    for name in CHANGEABLE:
        if name in changes:
            setattr(user, name, changes[name])
    changed = changed_fields(before, {name: getattr(user, name) for name in CHANGEABLE})
    if changed:
        try:
            with transaction.atomic():
                user.save(update_fields=[*changed, "pending_email", "updated_at"])
        except IntegrityError:
            raise ConflictError("This user name or e-mail address is taken.") from None
        _record(actor, user, "user.updated", changed, RiskLevel.MEDIUM, "")
    # The same value as before is no change: clients send back whole records.
    if changes.get("role", user.role) != user.role:
        user = change_user_role(actor=actor, user_id=user_id, role=changes["role"])
    if changes.get("status", user.status) != user.status:
        user = change_user_status(actor=actor, user_id=user_id, status=changes["status"])
    return user


def _person_to_change(actor: Principal, user_id: uuid.UUID) -> User:
    """The row, locked behind those of the admins beside it, so that two admins cannot suspend each other at once."""
    found = get_person(actor, user_id)
    if user_id == actor.user_id:
        raise ForbiddenError("You cannot change your own status or role. Ask another admin.", code="OWN_ACCOUNT")
    peers = User.objects.filter(company=found.company).exclude(role=Role.USER)
    list(peers.select_for_update().order_by("pk"))
    return User.objects.select_related("company").select_for_update(of=("self",)).get(pk=found.pk)


def _refuse_for_last_admin(user: User) -> None:
    if user.role == Role.USER or not user.is_active:
        return
    others = User.objects.filter(company=user.company, role=user.role, status=UserStatus.ACTIVE)
    if not others.exclude(pk=user.pk).exists():
        where = "company" if user.company_id else "installation"
        raise ConflictError(
            f"This is the last active admin of the {where}. Make somebody else an admin first.", code="LAST_ADMIN"
        )


def _leave_company(user: User) -> None:
    ProviderIdentity.objects.filter(user=user).delete()  # the company's provider speaks for them no more
    ApiKey.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
    user.company = None


def _company_to_join(user: User, company_id: uuid.UUID | None) -> Company:
    if company_id is None:
        text = "A super admin belongs to no company. Name the one to join as company_id."
        raise ConflictError(text, fields={"company_id": [text]})
    company = live_company(company_id)
    if company.users.filter(username__iexact=user.username).exists():
        raise ConflictError(f"The user name {user.username} is taken in that company.")
    return company


def _record(
    actor: Principal,
    user: User,
    event_type: str,
    changes: Mapping[str, tuple[Any, Any]],
    risk_level: RiskLevel,
    reason: str,
    *,
    company: Company | None = None,
) -> None:
    """In the log of the person's company, or of the one that they have left."""
    with log_of(company or user.company):
        record_event(
            actor=actor,
            event_type=event_type,
            entity=user,
            changes=changes,
            risk_level=risk_level,
            description=f"Reason: {reason}" if reason else "",
        )
