"""What happens to the people of companies, and to super admins."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from knowrithm.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal, Role
from tenants.exceptions import AlreadyRegisteredError
from tenants.models import Company, User
from tenants.services.companies import create_company

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
) -> User:
    """A new company and its first admin."""
    _check_email_is_free(email)
    company = create_company(name=company_name, email=email, phone=phone)
    return _create_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=Role.ADMIN,
    )  # fmt: skip


@transaction.atomic
def register_first_admin(
    *, company_id: uuid.UUID, email: str, username: str, password: str, first_name: str, last_name: str
) -> User:
    """The first admin of a company made by `POST /company`.

    Only a company without people can be claimed like this: afterwards its admins create the others.
    """
    company = Company.objects.select_for_update().live().filter(pk=company_id, is_ready=True).first()
    if company is None:
        raise NotFoundError("There is no such company.")
    _check_email_is_free(email)
    if company.users.exists():
        raise ForbiddenError("This company has an admin already. Ask them to create an account for you.")
    return _create_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=Role.ADMIN,
    )  # fmt: skip


def create_person(*, company: Company, email: str, **fields: Any) -> User:
    """For a service that knows the company otherwise than from the actor. Raises `AlreadyRegisteredError`."""
    _check_email_is_free(email)
    return _create_user(company=company, email=email, **fields)


def create_user(*, actor: Principal, email: str, username: str, password: str, first_name: str, last_name: str) -> User:
    _check_email_is_free(email)
    company = Company.objects.get(pk=actor.company_id)
    return _create_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=Role.USER,
    )  # fmt: skip


def _check_email_is_free(email: str) -> None:
    if User.objects.filter(email__iexact=email).exists():
        raise AlreadyRegisteredError(
            "An account with this e-mail address exists already.",
            fields={"email": ["An account with this e-mail address exists already."]},
        )


def _create_user(*, company: Company, username: str, password: str, **fields: Any) -> User:
    user = User(company=company, username=username or _username_from(fields["email"], company), **fields)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInputError(error.messages[0], fields={"password": error.messages}) from None
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise ConflictError(
            "This user name or e-mail address is taken.", fields={"username": ["This user name is taken."]}
        ) from None
    return user


def _username_from(email: str, company: Company) -> str:
    base = slugify(email.split("@")[0])[:40] or "user"
    taken = set(company.users.filter(username__istartswith=base).values_list("username", flat=True))
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if name not in taken)


def ensure_super_admin(*, email: str, password: str) -> User:
    """The super admin of the installation; an existing one is left as it is."""
    existing = User.objects.filter(role=Role.SUPER_ADMIN, email__iexact=email).first()
    return existing or User.objects.create_superuser(email=email, password=password)


def update_profile(*, user: User, changes: Mapping[str, Any]) -> User:
    names = [name for name in PROFILE_FIELDS if name in changes]
    for name in names:
        setattr(user, name, changes[name])
    user.save(update_fields=[*names, "updated_at"])
    return user


def change_password(*, user: User, current: str, new: str) -> None:
    """Every API session of the person ends."""
    if not user.check_password(current):
        raise InvalidInputError("The current password is not right.", fields={"current_password": ["Not right."]})
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise InvalidInputError(error.messages[0], fields={"new_password": error.messages}) from None
    user.set_password(new)
    user.save(update_fields=["password", "updated_at"])
    user.sessions.filter(revoked_at=None).update(revoked_at=timezone.now())
