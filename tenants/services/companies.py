"""What happens to companies: made, changed, and which agents are theirs. Their end is in `lifecycle`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.core.validators import URLValidator
from django.db import IntegrityError, transaction
from django_tenants.utils import tenant_context

from knowrithm.errors import ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal
from tenants import ocr_languages, provisioning
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, log_of, open_log, record_event
from tenants.exceptions import AlreadyRegisteredError
from tenants.geography.services import promote_address
from tenants.logo import delete_logo, draw_logo, store_logo
from tenants.models import AgentRoute, Company
from tenants.selectors import reaches_every_company
from tenants.signals import company_created

OWN_FIELDS = ("name", "email", "phone", "website", "industry", "ocr_languages")
GOVERNED_FIELDS = (  # a super admin's alone
    "is_active", "is_verified", "requires_two_factor", "api_key_max_per_hour", "api_key_max_per_day",
    "audit_retention_days",
)  # fmt: skip
MAX_LOGO_URL = 500
# Loosely: figures, what people put between them, and an extension.
PHONE = re.compile(r"[0-9 +()./-]*(?:(?:ext\.?|x) ?[0-9]+)?", re.IGNORECASE | re.ASCII)
LEAST_DIGITS, MOST_DIGITS = 5, 20

Logo: TypeAlias = "File[bytes] | str"  # a picture, an https address, or an empty text for none


@transaction.atomic
def create_company(*, actor: Principal | None = None, name: str, email: str, **fields: Any) -> Company:
    """A company with its own schema, ready to use when this returns. `fields` may hold a `logo`.

    Raises `AlreadyRegisteredError` when a company with this e-mail address exists, `InvalidInputError` for the logo.
    """
    company = open_company(name=name, email=email, **fields)
    with log_of(company):
        record_event(actor=actor, event_type="company.created", entity=company, risk_level=RiskLevel.MEDIUM)
    return company


def open_company(*, name: str, email: str, logo: Logo = "", address_id: int | None = None, **fields: Any) -> Company:
    """What `create_company` does, inside the transaction of a service that records what it makes of it."""
    if email:
        _check_email_is_free(email)
    _check_phone(fields.get("phone", ""))
    company = Company(name=name, email=email, **fields)
    company.schema_name = provisioning.new_schema_name(company.id)
    _take_logo(company, logo)
    if address_id is not None:
        message = "A new company has no addresses yet: add one, then choose it."
        raise InvalidInputError(message, fields={"address_id": [message]})
    with email_is_free():
        company.save()
    provisioning.create_schema(company.schema_name)
    with tenant_context(company):
        open_log()
    company_created.send(sender=Company, company=company)
    Company.objects.filter(pk=company.pk).update(is_ready=True)
    company.is_ready = True
    return company


@transaction.atomic
def update_company(*, actor: Principal, company: Company, changes: Mapping[str, Any]) -> Company:
    """Change what `changes` names: the company's own fields, `logo` (see `Logo`), `address_id`; a super admin also
    what is in `GOVERNED_FIELDS`. Deactivating ends the company's access with its next request.

    Raises `ForbiddenError`, `AlreadyRegisteredError`, `InvalidInputError`.
    """
    company = Company.objects.select_for_update().get(pk=company.pk)
    if company.purge_started_at is not None:
        raise NotFoundError("There is no such company.")
    before = _state(company)
    _check_may_change(actor, company, changes)
    if "ocr_languages" in changes:
        _check_languages(company, changes["ocr_languages"])
    if "phone" in changes and changes["phone"] != company.phone:
        _check_phone(changes["phone"])
    if "email" in changes and changes["email"].lower() != company.email.lower():
        _check_email_is_free(changes["email"])
    for name in (*OWN_FIELDS, *GOVERNED_FIELDS):
        if name in changes:
            setattr(company, name, changes[name])
    if "logo" in changes:
        _replace_logo(company, changes["logo"])
    changed = changed_fields(before, _state(company))
    address = _take_address(company, changes["address_id"]) if "address_id" in changes else None
    if address:
        changed["address"] = (None, address)
    if changed:
        with email_is_free():
            company.save()
        with log_of(company):
            record_event(
                actor=actor,
                event_type=_event_of(company, changed),
                entity=company,
                changes=changed,
                risk_level=RiskLevel.HIGH if changed.keys() & set(GOVERNED_FIELDS) else RiskLevel.LOW,
            )
    return company


def add_agent_route(*, agent_id: uuid.UUID, company_id: uuid.UUID) -> None:
    AgentRoute.objects.create(agent_id=agent_id, company_id=company_id)


def _check_phone(phone: str) -> None:
    digits = sum(character.isdigit() for character in phone)
    if phone and not (PHONE.fullmatch(phone.strip()) and LEAST_DIGITS <= digits <= MOST_DIGITS):
        fault = "Give a telephone number, such as +1 555 0100 or 030 123456 ext. 7."
        raise InvalidInputError(fault, fields={"phone": [fault]})


def _state(company: Company) -> dict[str, Any]:
    return {name: getattr(company, name) for name in (*OWN_FIELDS, *GOVERNED_FIELDS, "logo")}


def _event_of(company: Company, changed: Mapping[str, Any]) -> str:
    if "is_active" in changed:
        return "company.activated" if company.is_active else "company.deactivated"
    if "is_verified" in changed:
        return "company.verified" if company.is_verified else "company.verification_withdrawn"
    return "company.updated"


def _check_may_change(actor: Principal, company: Company, changes: Mapping[str, Any]) -> None:
    """The same value as before is no change: clients send back whole records."""
    governed = [name for name in GOVERNED_FIELDS if name in changes and changes[name] != getattr(company, name)]
    if governed and not reaches_every_company(actor):
        raise ForbiddenError(f"Only a super admin may change {governed[0]}.")


def _check_email_is_free(email: str) -> None:
    if Company.objects.live().filter(email__iexact=email).exists():
        raise _email_is_taken()


@contextmanager
def email_is_free() -> Iterator[None]:
    """For what gives a live company an address. Who looked at the same time as another is refused by the database."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "company_email_unique" not in str(error):
            raise
        raise _email_is_taken() from None


def _email_is_taken() -> AlreadyRegisteredError:
    message = "A company with this e-mail address exists already."
    return AlreadyRegisteredError(message, fields={"email": [message]})


def _check_languages(company: Company, languages: Sequence[str]) -> None:
    """What the company has already is not asked for again: a pack may be missing on this server alone."""
    if not languages:
        raise _refused_languages("Choose at least one language.")
    unknown = [name for name in languages if name not in company.ocr_languages]
    missing = [name for name in unknown if name not in ocr_languages.installed()] if unknown else []
    if missing:
        raise _refused_languages(
            f"The language {', '.join(missing)} is not installed on this server. "
            f"Ask its operator for the package {ocr_languages.packages(missing)}, or choose another."
        )


def _refused_languages(message: str) -> InvalidInputError:
    return InvalidInputError(message, fields={"ocr_languages": [message]})


def _take_address(company: Company, address_id: int | None) -> str:
    """The company's address that counts from now on, if it is another. Raises `NotFoundError` for a foreign one."""
    promoted = promote_address(company_id=company.pk, address_id=address_id) if address_id is not None else None
    return str(promoted) if promoted else ""


def _take_logo(company: Company, logo: Logo) -> None:
    if isinstance(logo, str):
        company.logo_digest, company.logo_url = "", _checked_url(logo)
    else:
        company.logo_digest, company.logo_url = store_logo(company, draw_logo(logo)), ""


def _replace_logo(company: Company, logo: Logo) -> None:
    if isinstance(logo, str) and logo == company.logo:
        return  # the address that we gave out comes back with the rest of the record
    old = company.logo_digest
    _take_logo(company, logo)
    if old and old != company.logo_digest:
        transaction.on_commit(lambda: delete_logo(company, old))


def _checked_url(url: str) -> str:
    """Kept as it is and never fetched by us: browsers that show it load it."""
    if not url:
        return ""
    try:
        URLValidator(schemes=["https"])(url)
    except ValidationError:
        message = "Send the logo as a file, or give an address that begins with https://."
        raise InvalidInputError(message, fields={"logo": [message]}) from None
    if len(url) > MAX_LOGO_URL:
        message = f"The address of the logo is longer than {MAX_LOGO_URL} characters."
        raise InvalidInputError(message, fields={"logo": [message]})
    return url
