"""What a super admin does to companies and people, from outside. Each act is told in the company's own audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from knowrithm.errors import ConflictError, InvalidInputError
from knowrithm.principal import Principal, Role
from tenants.audit.models import RiskLevel
from tenants.audit.services import Changes, changed_fields, log_of, record_event
from tenants.enums import UserStatus
from tenants.exceptions import AlreadyRegisteredError
from tenants.models import Company, User
from tenants.services import people

COMPANY_FIELDS = ("name", "email", "phone", "is_active", "is_verified")
USER_FIELDS = ("email", "username", "first_name", "last_name", "role", "status", "email_verified")


@transaction.atomic
def update_company(*, actor: Principal, company: Company, changes: Mapping[str, Any]) -> Company:
    """Raises `AlreadyRegisteredError` when another company has the e-mail address."""
    company = Company.objects.select_for_update().get(pk=company.pk)
    before = {name: getattr(company, name) for name in COMPANY_FIELDS}
    names = [name for name in COMPANY_FIELDS if name in changes]
    email = changes.get("email")
    others = Company.objects.live().exclude(pk=company.pk)
    if email and email.lower() != before["email"].lower() and others.filter(email__iexact=email).exists():
        raise AlreadyRegisteredError("A company with this e-mail address exists already.")
    for name in names:
        setattr(company, name, changes[name])
    company.save(update_fields=[*names, "updated_at"])
    changed = changed_fields(before, {name: getattr(company, name) for name in COMPANY_FIELDS})
    risk = RiskLevel.HIGH if "is_active" in changed else RiskLevel.MEDIUM
    with log_of(company):
        record_event(actor=actor, event_type="company.updated", entity=company, changes=changed, risk_level=risk)
    return company


@transaction.atomic
def create_user(*, actor: Principal, company: Company, email: str, role: Role = Role.USER, **fields: Any) -> User:
    """A person of the company with a password already. Raises `AlreadyRegisteredError`, `ConflictError`."""
    if not company.is_ready or company.is_archived:
        raise ConflictError("This company is archived or not ready. Restore it first.")
    if role == Role.SUPER_ADMIN:
        raise InvalidInputError(
            "A super admin belongs to no company. Choose admin or user.",
            fields={"role": ["Choose admin or user."]},
        )
    user = people.create_person(company=company, email=email, role=role, **fields)
    with log_of(company):
        record_event(
            actor=actor, event_type="user.created", entity=user, risk_level=RiskLevel.MEDIUM,
            changes={"email": (None, user.email), "role": (None, user.role)},
        )  # fmt: skip
    return user


@transaction.atomic
def update_user(*, actor: Principal, user: User, changes: Mapping[str, Any]) -> User:
    """Who is no longer active is signed out everywhere. Raises `InvalidInputError`, `ConflictError`."""
    user = User.objects.select_for_update(of=("self",)).select_related("company").get(pk=user.pk)
    before = {name: getattr(user, name) for name in USER_FIELDS}
    _check_may_change(actor, user, changes)
    names = [name for name in USER_FIELDS if name in changes]
    for name in names:
        setattr(user, name, changes[name])
    try:
        with transaction.atomic():
            user.save(update_fields=[*names, "updated_at"])
    except IntegrityError:
        raise ConflictError("This user name or e-mail address is taken.") from None
    if not user.is_active:
        user.sessions.filter(revoked_at=None).update(revoked_at=timezone.now())
    _record(actor, user, changed_fields(before, {name: getattr(user, name) for name in USER_FIELDS}))
    return user


def deactivate_user(*, actor: Principal, user: User) -> User:
    return update_user(actor=actor, user=user, changes={"status": UserStatus.INACTIVE})


def _check_may_change(actor: Principal, user: User, changes: Mapping[str, Any]) -> None:
    role, status = changes.get("role", user.role), changes.get("status", user.status)
    if user.pk == actor.user_id and (role != user.role or status != user.status):
        raise InvalidInputError("You cannot change your own role or status. Ask another super admin.")
    if (role == Role.SUPER_ADMIN) != (user.company is None):
        sentence = "A super admin belongs to no company, and everybody else to one: this role does not fit."
        raise InvalidInputError(sentence, fields={"role": [sentence]})


def _record(actor: Principal, user: User, changes: Changes) -> None:
    event_type = "user.status_changed" if "status" in changes else "user.updated"
    risk = RiskLevel.HIGH if {"role", "status"} & changes.keys() else RiskLevel.MEDIUM
    with log_of(user.company):
        record_event(actor=actor, event_type=event_type, entity=user, changes=changes, risk_level=risk)
