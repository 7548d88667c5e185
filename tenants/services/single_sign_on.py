"""A company's security settings, and signing in through its own OpenID Connect provider."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from knowrithm.errors import ConflictError, InvalidInputError, NotFoundError, ServiceError
from knowrithm.principal import Principal, Role
from tenants import oidc
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, log_of, record_event
from tenants.enums import SessionKind
from tenants.exceptions import AccountUnavailableError, AnotherPersonError, SingleSignOnError
from tenants.models import Company, EmailDomain, ProviderIdentity, SingleSignOn, User, UserSession
from tenants.selectors import get_person, single_sign_on_for
from tenants.services.people import username_from
from tenants.services.sessions import end_sessions, principal_of

DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
# Anybody can have an address there: no company's people are told by it.
PUBLIC_MAIL_DOMAINS = frozenset(
    {
        "126.com", "163.com", "aol.com", "fastmail.com", "gmail.com", "gmx.com", "gmx.de", "gmx.net", "googlemail.com",
        "hotmail.com", "hotmail.fr", "icloud.com", "live.com", "mac.com", "mail.com", "mail.ru", "me.com", "msn.com",
        "orange.fr", "outlook.com", "pm.me", "proton.me", "protonmail.com", "qq.com", "t-online.de", "tutanota.com",
        "web.de", "yahoo.co.uk", "yahoo.com", "yahoo.fr", "yandex.com", "yandex.ru", "ymail.com", "zoho.com",
    }
)  # fmt: skip
PENDING_SECONDS = 10 * 60


@dataclass(frozen=True, slots=True)
class PendingSignOn:
    """What the browser's session keeps while the person is at the provider."""

    company_id: str
    state: str
    nonce: str
    verifier: str
    started_at: float


def redirect_uri() -> str:
    """The address to register with the provider."""
    return f"{settings.BASE_URL}{reverse('sso-callback')}"


@transaction.atomic
def set_two_factor_requirement(*, actor: Principal, is_required: bool) -> Company:
    """Switching it on ends the API sessions of those who have no second factor; their pages lead to setting it up."""
    _only_admins(actor)
    company: Company = Company.objects.select_for_update().get(pk=actor.company_id)
    before = {"requires_two_factor": company.requires_two_factor}
    company.requires_two_factor = is_required
    company.save(update_fields=["requires_two_factor", "updated_at"])
    if is_required:
        _end_sessions(company, user__two_factor_enabled=False)
    _record(company, actor, before, {"requires_two_factor": is_required})
    return company


@transaction.atomic
def save_single_sign_on(
    *,
    actor: Principal,
    issuer: str,
    client_id: str,
    client_secret: str,
    email_domains: Sequence[str],
    default_role: str,
    is_enabled: bool,
    creates_users: bool,
    requires_sso: bool,
    confirms_addresses: bool = False,
) -> SingleSignOn:
    """The company's provider. An empty `client_secret` keeps the stored one, unless the issuer changes.

    With `confirms_addresses` the company vouches that nobody has an address of its domains at the provider that is not
    theirs: then one counts as confirmed when the provider does not say whether it is.

    Raises `InvalidInputError`, and `ConflictError` when another company has one of the domains.
    """
    _only_admins(actor)
    _check_issuer(issuer)
    if requires_sso and not is_enabled:
        raise InvalidInputError(
            "Single sign-on must be on before it can be required.",
            fields={"requires_sso": ["Switch single sign-on on first."]},
        )
    company = Company.objects.select_for_update().get(pk=actor.company_id)
    row = single_sign_on_for(actor) or SingleSignOn(company=company)
    before = _described(row, company)
    if not row._state.adding and (row.issuer, row.client_id) != (issuer, client_id):
        row.identities.all().delete()  # each application of each provider has names of its own for people
    if client_secret or row.issuer != issuer:
        row.client_secret = client_secret  # a secret never goes to another provider than it was given for
    row.issuer, row.client_id, row.default_role = issuer, client_id, default_role
    row.is_enabled, row.creates_users, row.confirms_addresses = is_enabled, creates_users, confirms_addresses
    row.save()
    _claim_domains(row, company, email_domains)
    company.requires_sso = requires_sso
    company.save(update_fields=["requires_sso", "updated_at"])
    if requires_sso and not before["requires_sso"]:
        _end_sessions(company, user__role=Role.USER)
    _record(company, actor, before, _described(row, company))
    return row


@transaction.atomic
def remove_single_sign_on(*, actor: Principal) -> None:
    """Everybody signs in by password again (after setting one); the domains are free."""
    _only_admins(actor)
    company = Company.objects.select_for_update().get(pk=actor.company_id)
    row = single_sign_on_for(actor)
    if row is None:
        raise NotFoundError("There is no single sign-on to remove.")
    before = _described(row, company)
    row.delete()
    company.requires_sso = False
    company.save(update_fields=["requires_sso", "updated_at"])
    _record(company, actor, before, {})


def check_single_sign_on(*, actor: Principal) -> str:
    """Ask the saved provider for its documents: a sentence when all is well, else a `SingleSignOnError`."""
    _only_admins(actor)
    row = single_sign_on_for(actor)
    if row is None:
        raise SingleSignOnError("Save the settings before you test them.")
    keys = oidc.check_provider(row.issuer)
    return f"The provider answered: its endpoints are known, and it publishes {keys} usable key{'s' * (keys != 1)}."


def begin_single_sign_on(*, email: str) -> tuple[str, PendingSignOn] | None:
    """Where to send the browser, and what its session keeps; None when the address belongs to no company's provider.

    Only the domain counts, so that nobody learns which people exist. Raises `SingleSignOnError`, which is recorded.
    """
    claim = (
        EmailDomain.objects.select_related("single_sign_on__company")
        .filter(domain=_domain_of(email), single_sign_on__is_enabled=True)
        .first()
    )
    if claim is None or not claim.single_sign_on.company.is_usable:
        return None
    row = claim.single_sign_on
    pending = PendingSignOn(
        company_id=str(row.company_id),
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        started_at=time.time(),
    )
    with _failures_recorded(row.company):
        provider = oidc.discover(row.issuer)
    url = oidc.authorization_url(
        provider, client_id=row.client_id, redirect_uri=redirect_uri(), state=pending.state,
        nonce=pending.nonce, verifier=pending.verifier, login_hint=email,
    )  # fmt: skip
    return url, pending


def finish_single_sign_on(*, pending: PendingSignOn | None, answer: Mapping[str, str]) -> User:
    """The person that the provider sent back with `answer`, the callback's query.

    Raises `SingleSignOnError` for everything that is not right with it, `AccountUnavailableError`. Either is recorded:
    in the company's log, or in the platform's for an answer that belongs to no sign-in which was begun here.
    """
    company = Company.objects.filter(pk=pending.company_id).first() if pending is not None else None
    with _failures_recorded(company):
        return _person_of_answer(pending, answer)


@contextmanager
def _failures_recorded(company: Company | None) -> Iterator[None]:
    try:
        yield
    except ServiceError as error:
        whose = error.user_id if isinstance(error, AnotherPersonError) else ""
        with log_of(company):
            record_event(
                actor=None,
                event_type="user.sign_in_failed",
                entity_type="user",
                entity_id=whose,
                description=f"Through the company's provider: {error}",
                risk_level=RiskLevel.HIGH if whose else RiskLevel.MEDIUM,
            )
        raise


def _person_of_answer(pending: PendingSignOn | None, answer: Mapping[str, str]) -> User:
    given = answer.get("state", "")
    if pending is None or time.time() - pending.started_at > PENDING_SECONDS:
        raise SingleSignOnError("This sign-in has taken too long or was begun in another browser. Begin again.")
    if not secrets.compare_digest(given.encode(), pending.state.encode()):
        raise SingleSignOnError("This answer belongs to another sign-in. Begin again.")
    row = SingleSignOn.objects.select_related("company").filter(company_id=pending.company_id, is_enabled=True).first()
    if row is None or not row.company.is_usable:
        raise SingleSignOnError("Your company's single sign-on was switched off. Ask an admin of your company.")
    if answer.get("iss", row.issuer) != row.issuer:  # RFC 9207: another provider's answer
        raise SingleSignOnError("This answer is from another provider. Begin again.")
    if error := answer.get("error"):
        raise SingleSignOnError(f"The provider did not sign you in ({error[:100]}). Begin again, or ask your admin.")
    if not (code := answer.get("code", "")):
        raise SingleSignOnError("The provider's answer holds no code. Begin again.")
    provider = oidc.discover(row.issuer)
    token = oidc.exchange_code(
        provider, client_id=row.client_id, client_secret=row.client_secret, redirect_uri=redirect_uri(), code=code,
        verifier=pending.verifier,
    )  # fmt: skip
    identity = oidc.read_id_token(provider, token, client_id=row.client_id, nonce=pending.nonce)
    return _person_of(row, identity)


def _person_of(row: SingleSignOn, identity: oidc.Identity) -> User:
    """By the provider's own name for the person; at their first sign-in by their confirmed address."""
    known = (
        ProviderIdentity.objects.select_related("user__company")
        .filter(single_sign_on=row, issuer=row.issuer, subject=identity.subject, user__company=row.company_id)
        .first()
    )
    if known is not None:
        user = known.user
    else:
        email = oidc.confirmed_email(identity, is_silence_enough=row.confirms_addresses)
        user = _person_at(row, identity, email)
    if not user.may_sign_in:
        raise AccountUnavailableError("This account is not active. Ask an admin of your company.")
    if known is None and not _link(row, user, identity.subject):
        raise AnotherPersonError(
            f"The account of {user.email} belongs to another person at your provider. If this address is yours now, "
            f"ask an admin of {row.company.name} to unlink the account on the page People.",
            user_id=user.pk,
        )
    return user


def _person_at(row: SingleSignOn, identity: oidc.Identity, email: str) -> User:
    """The provider speaks for the company's own domains and people only, whatever addresses it may name."""
    try:
        validate_email(email)
    except ValidationError:
        raise SingleSignOnError("The provider sent no usable e-mail address.") from None
    if not row.email_domains.filter(domain=_domain_of(email)).exists():
        raise SingleSignOnError(f"Addresses like {email} do not sign in to {row.company.name}.")
    user = _by_email(email)
    if user is None:
        if not row.creates_users:
            raise SingleSignOnError(
                f"There is no account for {email} yet. Ask an admin of {row.company.name} to create it."
            )
        user = _create_person(row, identity, email)
    if user.company_id != row.company_id:
        raise SingleSignOnError(f"{email} does not belong to {row.company.name}.")
    return user


@transaction.atomic
def _link(row: SingleSignOn, user: User, subject: str) -> bool:
    """From now on the person is who the provider calls `subject`. False when it is somebody else already."""
    User.objects.select_for_update(of=("self",)).get(pk=user.pk)  # two first sign-ins at once
    known = ProviderIdentity.objects.filter(user=user).first()
    if known is not None:
        return (known.single_sign_on_id, known.issuer, known.subject) == (row.pk, row.issuer, subject)
    try:
        with transaction.atomic():
            ProviderIdentity.objects.create(user=user, single_sign_on=row, issuer=row.issuer, subject=subject)
    except IntegrityError:  # the same person with two addresses at once
        raise SingleSignOnError("This sign-in could not be completed. Begin again.") from None
    with log_of(row.company):
        record_event(
            actor=principal_of(user), event_type="user.sso_linked", entity=user, risk_level=RiskLevel.MEDIUM,
            description=f"To the person at {row.issuer} who signed in with this e-mail address",
        )  # fmt: skip
    return True


@transaction.atomic
def unlink_single_sign_on(*, actor: Principal, user_id: uuid.UUID) -> User:
    """The next sign-in through the provider links anew, by the confirmed address. Ends somebody else's sessions.

    Raises `NotFoundError`, and `ConflictError` when the person is not linked.
    """
    _only_admins(actor)
    user = User.objects.select_for_update(of=("self",)).get(pk=get_person(actor, user_id).pk)
    deleted, _ = ProviderIdentity.objects.filter(user=user).delete()
    if not deleted:
        raise ConflictError(f"{user} is not linked to anybody at your provider.")
    if user.pk != actor.user_id:
        end_sessions(user, actor=actor)
    with log_of(user.company):
        record_event(actor=actor, event_type="user.sso_unlinked", entity=user, risk_level=RiskLevel.HIGH)
    return user


def _create_person(row: SingleSignOn, identity: oidc.Identity, email: str) -> User:
    user = User(
        company=row.company, email=email, username=username_from(email, row.company),
        first_name=identity.first_name, last_name=identity.last_name, role=row.default_role, email_verified=True,
    )  # fmt: skip
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
            with log_of(row.company):
                record_event(
                    actor=None, event_type="user.created", entity=user, risk_level=RiskLevel.MEDIUM,
                    description=f"On the first sign-in through {row.issuer}",
                )  # fmt: skip
    except IntegrityError:  # two first sign-ins at once
        made = _by_email(email)
        if made is None:
            raise ConflictError("This account could not be created. Try again.") from None
        return made
    return user


def _by_email(email: str) -> User | None:
    return User.objects.select_related("company").filter(email__iexact=email).first()


def _domain_of(email: str) -> str:
    return email.rpartition("@")[2].strip().lower()


def _only_admins(actor: Principal) -> None:
    actor.must_be_oneself()
    actor.must_be_admin()


def _check_issuer(issuer: str) -> None:
    parts = urlsplit(issuer)
    if not oidc.is_allowed_address(issuer) or parts.query or parts.fragment or parts.username:
        sentence = "Enter the issuer's https address as the provider states it, such as https://login.example.com."
        raise InvalidInputError(sentence, fields={"issuer": [sentence]})


def _claim_domains(row: SingleSignOn, company: Company, wanted: Sequence[str]) -> None:
    """A domain is taken only by a company that a confirmed address at it belongs to, and by one company alone."""
    domains = sorted({domain.strip().lower() for domain in wanted if domain.strip()})
    if not domains:
        _refuse_domain("Name at least one e-mail domain, such as example.com.")
    kept = set(row.email_domains.values_list("domain", flat=True))
    for domain in domains:
        if not DOMAIN.fullmatch(domain):
            _refuse_domain(f"{domain[:100]} is not a domain. Write it like example.com.")
        if domain in PUBLIC_MAIL_DOMAINS:
            _refuse_domain(f"Anybody can have an address at {domain}: use your company's own domain.")
        if domain not in kept and not company.users.filter(email_verified=True, email__iendswith=f"@{domain}").exists():
            _refuse_domain(f"Nobody of your company has a confirmed e-mail address at {domain}: confirm yours first.")
    row.email_domains.exclude(domain__in=domains).delete()
    try:
        with transaction.atomic():
            EmailDomain.objects.bulk_create(
                EmailDomain(single_sign_on=row, domain=domain) for domain in domains if domain not in kept
            )
    except IntegrityError:
        sentence = "Another company uses one of these domains. Ask the super admin of this installation."
        raise ConflictError(sentence, fields={"email_domains": [sentence]}) from None


def _refuse_domain(sentence: str) -> None:
    raise InvalidInputError(sentence, fields={"email_domains": [sentence]})


def _described(row: SingleSignOn, company: Company) -> dict[str, Any]:
    return {
        "issuer": row.issuer,
        "client_id": row.client_id,
        "client_secret": row.client_secret,  # redacted by its name
        "email_domains": list(row.email_domains.values_list("domain", flat=True)) if not row._state.adding else [],
        "default_role": row.default_role,
        "is_enabled": row.is_enabled,
        "creates_users": row.creates_users,
        "confirms_addresses": row.confirms_addresses,
        "requires_sso": company.requires_sso,
    }


def _end_sessions(company: Company, **whose: Any) -> None:
    # Browsers are led to what is missing; a client of the API has to sign in anew. Of whoever acts as a person nothing
    # of this is asked.
    sessions = UserSession.objects.filter(
        user__company=company, kind=SessionKind.API, impersonator=None, revoked_at=None, **whose
    )
    sessions.update(revoked_at=timezone.now())


def _record(company: Company, actor: Principal, before: dict[str, Any], after: dict[str, Any]) -> None:
    with log_of(company):
        record_event(
            actor=actor,
            event_type="company.security_changed",
            entity=company,
            changes=changed_fields(before, after),
            risk_level=RiskLevel.HIGH,
        )
