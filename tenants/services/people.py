"""What happens to the people of companies, and to super admins."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from knowrithm.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal, Role
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, log_of, record_event
from tenants.enums import Letter
from tenants.exceptions import AlreadyRegisteredError
from tenants.models import Company, User
from tenants.passwords import check_new_password
from tenants.selectors import live_company
from tenants.services.companies import open_company
from tenants.services.sessions import principal_of
from tenants.tasks import queue_letter

MAX_PREFERENCES_LENGTH = 16 * 1024  # characters of JSON
PROFILE_FIELDS = ("first_name", "last_name", "timezone", "language", "preferences")


@transaction.atomic
def register_company(
    *,
    company_name: str,
    email: str,
    password: str,
    first_name: str,
    last_name: str,
    phone: str = "",
    username: str = "",
    accepts_terms: bool = False,
) -> User:
    """A new company and its first admin. The log keeps which terms were accepted, where the installation has some."""
    check_email_is_free(email)
    company = open_company(name=company_name, email=email, phone=phone)
    user = new_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=Role.ADMIN,
    )  # fmt: skip
    with log_of(company):
        record_event(
            actor=principal_of(user), event_type="company.registered", entity=company, risk_level=RiskLevel.MEDIUM,
            description=_of_terms(accepts_terms),
        )  # fmt: skip
    return user


@transaction.atomic
def register_first_admin(
    *,
    company_id: uuid.UUID,
    email: str,
    username: str,
    password: str,
    first_name: str,
    last_name: str,
    email_verified: bool = False,
    accepts_terms: bool = False,
) -> User:
    """The first admin of a company made by `POST /company`.

    Only a company without people can be claimed like this: afterwards its admins create the others.
    """
    company = Company.objects.select_for_update().live().filter(pk=company_id, is_ready=True, is_active=True).first()
    if company is None:
        raise NotFoundError("There is no such company.")
    check_email_is_free(email)
    if company.users.exists():
        raise ForbiddenError("This company has an admin already. Ask them to create an account for you.")
    user = new_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=Role.ADMIN, email_verified=email_verified,
    )  # fmt: skip
    with log_of(company):
        record_event(
            actor=principal_of(user), event_type="company.claimed", entity=company, risk_level=RiskLevel.HIGH,
            description=_of_terms(accepts_terms),
        )  # fmt: skip
    return user


def _of_terms(accepts_terms: bool) -> str:
    return f"Accepted the terms of use {settings.TERMS_URL}" if accepts_terms and settings.TERMS_URL else ""


@transaction.atomic
def create_user(
    *,
    actor: Principal,
    email: str,
    username: str,
    password: str,
    first_name: str,
    last_name: str,
    role: str = Role.USER,
    company_id: uuid.UUID | None = None,
) -> User:
    """A person of the actor's company. A super admin names the company, or makes another super admin without one.

    Raises `AlreadyRegisteredError`, `ForbiddenError`, `NotFoundError`, `InvalidInputError`.
    """
    company = None if role == Role.SUPER_ADMIN and company_id is None else _company_for(actor, company_id)
    if role == Role.SUPER_ADMIN and (company is not None or not actor.is_super_admin):
        raise ForbiddenError("A super admin belongs to no company, and only a super admin can make one.")
    if role != Role.USER:
        actor.must_be_admin()
    check_email_is_free(email)
    user = new_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=role,
    )  # fmt: skip
    with log_of(user.company):
        record_event(
            actor=actor,
            event_type="user.created",
            entity=user,
            changes={"email": (None, email), "role": (None, role)},
            risk_level=RiskLevel.LOW if role == Role.USER else RiskLevel.HIGH,
        )
    return user


def _company_for(actor: Principal, company_id: uuid.UUID | None) -> Company:
    """The actor's own; of a super admin, the one that they name."""
    if actor.company is not None:
        if company_id not in {None, actor.company.id}:
            raise NotFoundError("There is no such company.")
        company_id = actor.company.id
    if company_id is None:
        raise InvalidInputError("Name the company.", fields={"company_id": ["Name the company."]})
    return live_company(company_id)


def check_email_is_free(email: str) -> None:
    if User.objects.filter(email__iexact=email).exists():
        raise AlreadyRegisteredError(
            "An account with this e-mail address exists already.",
            fields={"email": ["An account with this e-mail address exists already."]},
        )


def new_user(*, company: Company | None, username: str, password: str, **fields: Any) -> User:
    """A person in the database. An address that is not proven gets a mail with a link for it."""
    user = User(company=company, username=username or username_from(fields["email"], company), **fields)
    check_new_password(password, user)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise ConflictError(
            "This user name or e-mail address is taken.", fields={"username": ["This user name is taken."]}
        ) from None
    if not user.email_verified:
        queue_letter(Letter.VERIFY_EMAIL, user.id)
    return user


def username_from(email: str, company: Company | None) -> str:
    base = slugify(email.split("@")[0])[:40] or "user"
    taken = set(User.objects.filter(company=company, username__istartswith=base).values_list("username", flat=True))
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if name not in taken)


@transaction.atomic
def ensure_super_admin(*, email: str, password: str) -> User:
    """The super admin of the installation; an existing one is left as it is."""
    existing = User.objects.filter(role=Role.SUPER_ADMIN, email__iexact=email).first()
    if existing is not None:
        return existing
    user = User.objects.create_superuser(email=email, password=password)
    with log_of(None):
        record_event(actor=None, event_type="super_admin.created", entity=user, risk_level=RiskLevel.CRITICAL)
    return user


@transaction.atomic
def update_profile(*, actor: Principal, user: User, changes: Mapping[str, Any]) -> User:
    """Change what of `PROFILE_FIELDS` is given. Raises `InvalidInputError` for preferences that are too long."""
    if len(json.dumps(changes.get("preferences"))) > MAX_PREFERENCES_LENGTH:
        text = f"The preferences are too long: at most {MAX_PREFERENCES_LENGTH} characters of JSON."
        raise InvalidInputError(text, fields={"preferences": [text]})
    before = fields_of(user, PROFILE_FIELDS)
    names = [name for name in PROFILE_FIELDS if name in changes]
    for name in names:
        setattr(user, name, changes[name])
    user.save(update_fields=[*names, "updated_at"])
    with log_of(user.company):
        record_event(
            actor=actor,
            event_type="user.profile_updated",
            entity=user,
            changes=changed_fields(before, fields_of(user, PROFILE_FIELDS)),
        )
    return user
