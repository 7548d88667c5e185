"""Signing in through a company's own provider, one that speaks the protocol, and everything it may get wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from django.test import Client
from django.utils import timezone
from django_tenants.utils import schema_context, tenant_context
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, enrol, page_client
from knowrithm.errors import ForbiddenError, NotFoundError, ServiceError
from tenants.audit.models import AuditEvent
from tenants.audit.services import REDACTED
from tenants.exceptions import SingleSignOnError
from tenants.models import Company, EmailDomain, ProviderIdentity, SingleSignOn, User
from tenants.services import (
    change_user_role,
    check_single_sign_on,
    create_user,
    principal_of,
    register_company,
    save_single_sign_on,
    start_session,
    unlink_single_sign_on,
)
from tenants.tests.oidc_server import CLIENT_ID, CLIENT_SECRET, Claims, OidcServer, as_entra, signed_with_hmac, unsigned

LOGIN = "/api/v1/auth/login"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[OidcServer]:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with OidcServer(email="admin@acme.example") as server:
        yield server


def confirm_address(who: Character) -> None:
    User.objects.filter(pk=who.admin.pk).update(email_verified=True)


def configure(who: Character, issuer: str, **changes: Any) -> SingleSignOn:
    confirm_address(who)
    ordinary: dict[str, Any] = {
        "issuer": issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        "email_domains": [who.admin.email.rpartition("@")[2]], "default_role": "user", "is_enabled": True,
        "creates_users": False, "requires_sso": False,
    }  # fmt: skip
    return save_single_sign_on(actor=who.principal, **{**ordinary, **changes})


@pytest.fixture
def sso(acme: Character, provider: OidcServer) -> SingleSignOn:
    return configure(acme, provider.issuer)


def person(who: Character, email: str, **fields: Any) -> User:
    name = email.partition("@")[0]
    user = create_user(
        actor=who.principal, email=email, username=name, password=PASSWORD, first_name=name, last_name="Person"
    )
    User.objects.filter(pk=user.pk).update(**fields)
    user.refresh_from_db()
    return user


def leave(browser: Client, email: str = "admin@acme.example", **more: str) -> str:
    """Type an address; where the browser is sent to."""
    answer = browser.post("/sso/login", {"email": email, **more})
    assert answer.status_code == 302, answer.content
    return str(answer["Location"])


def come_back(url: str) -> dict[str, str]:
    """What the provider sends the browser back with."""
    answer = httpx2.get(url)
    assert answer.status_code == 302
    parts = urlsplit(answer.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://localhost:8543/sso/callback"
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def sign_in(browser: Client, email: str = "admin@acme.example", **more: str) -> Any:
    return browser.get("/sso/callback", come_back(leave(browser, email, **more)))


def is_signed_in(browser: Client) -> bool:
    return "_auth_user_id" in browser.session


# --- The way that works -------------------------------------------------------------------------------------------


def test_a_person_signs_in_through_the_company_s_provider(
    sso: SingleSignOn, acme: Character, provider: OidcServer
) -> None:
    browser = Client()
    url = leave(browser, "ADMIN@ACME.example", next="/agents")
    asked = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{provider.issuer}/authorize?")
    assert (asked["client_id"], asked["login_hint"]) == ([CLIENT_ID], ["ADMIN@ACME.example"])
    assert CLIENT_SECRET not in url

    answer = browser.get("/sso/callback", come_back(url))

    assert (answer.status_code, answer["Location"]) == (302, "/agents")
    assert browser.get("/home").context["request"].user == acme.admin
    with tenant_context(acme.company):
        event = AuditEvent.objects.get(event_type="user.signed_in_by_sso")
    assert (event.user_id, event.entity_id) == (acme.admin.pk, str(acme.admin.pk))
    assert provider.calls == ["openid-configuration", "authorize", "token", "jwks"]


def test_es256_and_secrets_in_the_form_work_too(acme: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with OidcServer(email=acme.admin.email, algorithm="ES256") as server:
        server.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        configure(acme, server.issuer)
        browser = Client()
        assert sign_in(browser).status_code == 302
        assert is_signed_in(browser)


def test_new_keys_of_the_provider_are_looked_for_once(sso: SingleSignOn, provider: OidcServer) -> None:
    assert sign_in(Client()).status_code == 302
    assert sign_in(Client()).status_code == 302
    assert provider.calls.count("jwks") == 1
    provider.rotate()
    assert sign_in(Client()).status_code == 302
    assert (provider.calls.count("jwks"), provider.calls.count("openid-configuration")) == (2, 1)


def test_an_audience_of_several_with_this_application_as_the_authorized_one(
    sso: SingleSignOn, provider: OidcServer
) -> None:
    provider.claims = lambda claims: {**claims, "aud": ["another", CLIENT_ID], "azp": CLIENT_ID}
    assert sign_in(Client()).status_code == 302


def test_the_second_factor_is_the_provider_s_matter(sso: SingleSignOn, acme: Character) -> None:
    enrol(acme.admin)
    browser = Client()
    assert sign_in(browser)["Location"] == "/home"
    assert browser.get("/home").status_code == 200


def test_who_came_through_the_provider_is_not_led_to_set_up_a_second_factor(sso: SingleSignOn, acme: Character) -> None:
    Company.objects.filter(pk=acme.company.pk).update(requires_two_factor=True)
    by_sso, by_password = Client(), page_client(acme)
    sign_in(by_sso)
    assert (by_sso.get("/home").status_code, by_password.get("/home").status_code) == (200, 302)


# --- Whom it lets in ----------------------------------------------------------------------------------------------


def test_accounts_are_created_where_the_company_says_so(acme: Character, provider: OidcServer) -> None:
    configure(acme, provider.issuer, creates_users=True)
    provider.email = "Grace@acme.example"
    browser = Client()
    assert sign_in(browser, provider.email).status_code == 302
    made = User.objects.get(email="Grace@acme.example")
    assert (made.company, made.role, made.full_name, made.email_verified) == (
        acme.company,
        "user",
        "Grace Hopper",
        True,
    )
    assert made.has_usable_password() is False
    assert APIClient().post(LOGIN, {"email": made.email, "password": ""}).status_code == 400
    sign_in(Client(), provider.email)
    assert User.objects.filter(email__iexact=provider.email).count() == 1
    assert browser.get("/two-factor").status_code == 200


def refused(browser: Client, answer: Any) -> str:
    """The sentence that the page tells, having let nobody in."""
    assert answer.status_code == 401, answer.content
    assert not is_signed_in(browser)
    assert User.objects.filter(email__startswith="grace").count() == 0
    return str(answer.context["problem"])


UNCONFIRMED = "The provider's ID token was refused: the provider does not confirm the e-mail address (email_verified)."


def test_entra_id_says_nothing_of_addresses_and_is_trusted_where_the_company_says_so(
    acme: Character, provider: OidcServer
) -> None:
    configure(acme, provider.issuer)
    provider.claims = as_entra
    browser = Client()
    assert refused(browser, sign_in(browser)) == UNCONFIRMED

    configure(acme, provider.issuer, confirms_addresses=True)

    assert sign_in(browser)["Location"] == "/home"
    assert browser.session["_auth_user_id"] == str(acme.admin.pk)
    with tenant_context(acme.company):
        event = AuditEvent.objects.filter(event_type="company.security_changed").order_by("-position")[0]
    assert (event.changes, event.risk_level) == ({"confirms_addresses": [False, True]}, "high")


@pytest.mark.parametrize("said", [False, "false", "true", 0, "", []])
def test_what_the_provider_calls_unconfirmed_is_refused_however_it_is_trusted(
    acme: Character, provider: OidcServer, said: Any
) -> None:
    configure(acme, provider.issuer, confirms_addresses=True)
    provider.claims = lambda claims: {**as_entra(claims), "email_verified": said, "xms_edov": True}
    browser = Client()
    assert refused(browser, sign_in(browser)) == UNCONFIRMED


@pytest.mark.parametrize(("said", "is_enough"), [(True, True), ("1", True), (False, False), ("0", False), ([1], False)])
def test_entra_id_s_own_claim_confirms_an_address(
    sso: SingleSignOn, provider: OidcServer, said: Any, is_enough: bool
) -> None:
    provider.claims = lambda claims: {**as_entra(claims), "xms_edov": said}
    browser = Client()
    answer = sign_in(browser)
    assert is_signed_in(browser) == is_enough
    assert answer.status_code == (302 if is_enough else 401)


@pytest.mark.parametrize("is_trusted", [True, False])
def test_the_page_says_whether_the_provider_confirms_all_addresses(
    sso: SingleSignOn, provider: OidcServer, acme_client: Client, is_trusted: bool
) -> None:
    sent = {
        "form": "sso", "issuer": provider.issuer, "client_id": CLIENT_ID, "email_domains": "acme.example",
        "default_role": "user", "is_enabled": "on", **({"confirms_addresses": "on"} if is_trusted else {}),
    }  # fmt: skip
    assert acme_client.post("/security", sent).status_code == 302
    assert SingleSignOn.objects.get().confirms_addresses == is_trusted
    assert acme_client.get("/security").context["sso_form"]["confirms_addresses"].initial == is_trusted


def test_an_unknown_person_is_not_created_unasked(sso: SingleSignOn, provider: OidcServer) -> None:
    provider.email = "grace@acme.example"
    browser = Client()
    assert refused(browser, sign_in(browser)) == (
        "There is no account for grace@acme.example yet. Ask an admin of Acme to create it."
    )


@pytest.mark.parametrize("creates_users", [True, False])
def test_a_person_of_another_company_does_not_enter(
    acme: Character, globex: Character, provider: OidcServer, creates_users: bool
) -> None:
    """Globex has given an account to somebody with an address of acme's domain: acme's provider does not open it."""
    configure(acme, provider.issuer, creates_users=creates_users)
    person(globex, "spy@acme.example")
    provider.email = "spy@acme.example"
    browser = Client()
    assert refused(browser, sign_in(browser)) == "spy@acme.example does not belong to Acme."


@pytest.mark.parametrize("email", ["admin@globex.example", "admin@sub.acme.example", "admin@xacme.example"])
def test_a_provider_speaks_for_the_company_s_domains_only(
    acme: Character, globex: Character, provider: OidcServer, email: str
) -> None:
    configure(acme, provider.issuer, creates_users=True)
    provider.email = email
    browser = Client()
    assert refused(browser, sign_in(browser)) == f"Addresses like {email} do not sign in to Acme."


def test_a_super_admin_does_not_enter_through_a_company(acme: Character, provider: OidcServer) -> None:
    configure(acme, provider.issuer)
    User.objects.create_superuser(email="root@acme.example", password=PASSWORD)
    provider.email = "root@acme.example"
    browser = Client()
    assert refused(browser, sign_in(browser)) == "root@acme.example does not belong to Acme."


def test_a_suspended_person_does_not_enter(sso: SingleSignOn, acme: Character) -> None:
    User.objects.filter(pk=acme.admin.pk).update(status="suspended")
    browser = Client()
    assert refused(browser, sign_in(browser)) == "This account is not active. Ask an admin of your company."


@pytest.mark.parametrize(
    "email", ["admın@acme.example", "adm\u200bin@acme.example", 7, None, "", "admin@acme.example\0"]
)
def test_addresses_that_only_look_like_somebody_s(sso: SingleSignOn, provider: OidcServer, email: Any) -> None:
    provider.claims = lambda claims: {**claims, "email": email}
    browser = Client()
    assert "usable e-mail address" in refused(browser, sign_in(browser))


# --- Whom the provider means --------------------------------------------------------------------------------------


def as_(provider: OidcServer, subject: Any, email: Any = "admin@acme.example", **more: Any) -> None:
    provider.claims = lambda claims: {**claims, "sub": subject, "email": email, **more}


def sso_events(company: Company) -> list[str]:
    with tenant_context(company):
        rows = AuditEvent.objects.filter(event_type__in=["user.sso_linked", "user.sso_unlinked", "user.sign_in_failed"])
        return list(rows.order_by("position").values_list("event_type", flat=True))


def test_the_first_sign_in_links_and_later_ones_go_by_the_subject(
    sso: SingleSignOn, acme: Character, provider: OidcServer
) -> None:
    """Neither another name, nor another address, nor one that is not confirmed locks the person out."""
    as_(provider, "s-1")
    assert sign_in(Client()).status_code == 302
    row = ProviderIdentity.objects.get()
    assert (row.user, row.issuer, row.subject) == (acme.admin, provider.issuer, "s-1")
    other = person(acme, "ada@acme.example")
    for email, more in (
        ("renamed@acme.example", {}),
        ("away@elsewhere.example", {}),
        ("ada@acme.example", {}),  # an address that is somebody else's account by now
        ("x", {"email_verified": False}),
        (None, {}),
    ):
        as_(provider, "s-1", email, **more)
        browser = Client()
        assert sign_in(browser).status_code == 302
        assert browser.session["_auth_user_id"] == str(acme.admin.pk)
    assert sso_events(acme.company) == ["user.sso_linked"]
    assert User.objects.get(pk=other.pk).email == "ada@acme.example"
    assert User.objects.get(pk=acme.admin.pk).email == "admin@acme.example"


def test_an_address_given_to_somebody_else_does_not_open_the_account(
    sso: SingleSignOn, acme: Character, provider: OidcServer
) -> None:
    as_(provider, "s-1")
    sign_in(Client())
    as_(provider, "s-2")
    browser = Client()
    assert refused(browser, sign_in(browser)) == (
        "The account of admin@acme.example belongs to another person at your provider. If this address is yours now, "
        "ask an admin of Acme to unlink the account on the page People."
    )
    with tenant_context(acme.company):
        event = AuditEvent.objects.get(event_type="user.sign_in_failed")
    assert (event.entity_id, event.risk_level) == (str(acme.admin.pk), "high")
    assert ProviderIdentity.objects.get().subject == "s-1"


def test_an_admin_unlinks_an_account(acme: Character, provider: OidcServer) -> None:
    configure(acme, provider.issuer)
    ann = person(acme, "ann@acme.example")
    as_(provider, "s-1", ann.email)
    before = Client()
    assert sign_in(before).status_code == 302
    admin = page_client(acme)
    page = admin.get(f"/people/{ann.pk}").content.decode()
    assert f'action="/people/{ann.pk}/unlink"' in page
    assert f"/people/{acme.admin.pk}/unlink" not in admin.get(f"/people/{acme.admin.pk}").content.decode()

    assert admin.post(f"/people/{ann.pk}/unlink").status_code == 302

    assert before.get("/home").status_code == 302
    assert ProviderIdentity.objects.count() == 0
    again = admin.post(f"/people/{ann.pk}/unlink", follow=True)
    assert "ann Person is not linked to anybody at your provider." in [str(told) for told in again.context["messages"]]
    as_(provider, "s-2", ann.email)
    assert sign_in(Client()).status_code == 302
    assert ProviderIdentity.objects.get().subject == "s-2"
    assert sso_events(acme.company) == ["user.sso_linked", "user.sso_unlinked", "user.sso_linked"]


def test_only_an_admin_of_the_company_unlinks(
    acme: Character, globex: Character, provider: OidcServer, acme_client: Client
) -> None:
    configure(acme, provider.issuer)
    sign_in(Client())
    user = person(acme, "ann@acme.example")
    for who, error in ((globex.principal, NotFoundError), (principal_of(user), ForbiddenError)):
        with pytest.raises(error):
            unlink_single_sign_on(actor=who, user_id=acme.admin.pk)
    assert ProviderIdentity.objects.count() == 1
    acme_client.post(f"/people/{acme.admin.pk}/unlink")  # one's own, without being signed out here
    assert ProviderIdentity.objects.count() == 0
    assert acme_client.get("/home").status_code == 200


def test_another_provider_or_application_links_anew(acme: Character, provider: OidcServer) -> None:
    """There the same person has another name; the one of before must not keep them out."""
    configure(acme, provider.issuer)
    as_(provider, "s-1")
    assert sign_in(Client()).status_code == 302
    configure(acme, provider.issuer, requires_sso=False, creates_users=True)
    assert ProviderIdentity.objects.count() == 1
    configure(acme, provider.issuer, client_id="another application")
    assert ProviderIdentity.objects.count() == 0
    configure(acme, provider.issuer)
    as_(provider, "s-2")
    assert sign_in(Client()).status_code == 302
    assert ProviderIdentity.objects.get().subject == "s-2"


def test_the_same_subject_in_two_companies_is_two_people(
    acme: Character, globex: Character, provider: OidcServer
) -> None:
    configure(acme, provider.issuer)
    configure(globex, provider.issuer)
    for who in (acme, globex):
        as_(provider, "s-1", who.admin.email)
        browser = Client()
        assert sign_in(browser, who.admin.email).status_code == 302
        assert browser.session["_auth_user_id"] == str(who.admin.pk)
    assert ProviderIdentity.objects.filter(subject="s-1").count() == 2


def test_who_leaves_the_company_is_not_found_by_its_provider(acme: Character, provider: OidcServer) -> None:
    configure(acme, provider.issuer)
    ann = person(acme, "ann@acme.example")
    as_(provider, "s-1", ann.email)
    sign_in(Client())
    root = User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD)
    change_user_role(actor=principal_of(root), user_id=ann.pk, role="super_admin")
    assert ProviderIdentity.objects.count() == 0
    browser = Client()
    assert refused(browser, sign_in(browser)) == "ann@acme.example does not belong to Acme."


@pytest.mark.parametrize("subject", [None, 7, "", "s" * 256, "s\0", "ſ", ["s"]])
def test_a_subject_that_is_none_is_refused(sso: SingleSignOn, provider: OidcServer, subject: Any) -> None:
    as_(provider, subject)
    browser = Client()
    assert refused(browser, sign_in(browser)) == "The provider's ID token was refused: it names nobody."


# --- Tokens that are not believed ---------------------------------------------------------------------------------

BAD_CLAIMS: dict[str, tuple[Callable[[Claims], Claims], str]] = {
    "wrong nonce": (lambda c: {**c, "nonce": "x"}, "it belongs to another sign-in"),
    "no nonce": (lambda c: {k: v for k, v in c.items() if k != "nonce"}, "it belongs to another sign-in"),
    "wrong audience": (lambda c: {**c, "aud": "another"}, "it is meant for another application"),
    "no audience": (lambda c: {k: v for k, v in c.items() if k != "aud"}, "it is meant for another application"),
    "several audiences": (lambda c: {**c, "aud": ["x", CLIENT_ID]}, "it is meant for another application"),
    "authorized for another": (lambda c: {**c, "azp": "another"}, "it is meant for another application"),
    "wrong issuer": (lambda c: {**c, "iss": "https://evil.example"}, "it is from another issuer"),
    "expired": (lambda c: {**c, "exp": c["exp"] - 3600}, "it has expired"),
    "no expiry": (lambda c: {k: v for k, v in c.items() if k != "exp"}, "it says no exp"),
    "expiry in words": (lambda c: {**c, "exp": "tomorrow"}, "it says no exp"),
    "old": (lambda c: {**c, "iat": c["iat"] - 3600}, "it was not made just now; check the clocks of both servers"),
    "of the future": (
        lambda c: {**c, "iat": c["iat"] + 3600},
        "it was not made just now; check the clocks of both servers",
    ),
    "not yet valid": (lambda c: {**c, "nbf": c["iat"] + 3600}, "it is not valid yet"),
    "nobody": (lambda c: {**c, "sub": ""}, "it names nobody"),
    "unverified": (
        lambda c: {**c, "email_verified": False},
        "the provider does not confirm the e-mail address (email_verified)",
    ),
    "nothing said of verification": (
        lambda c: {k: v for k, v in c.items() if k != "email_verified"},
        "the provider does not confirm the e-mail address (email_verified)",
    ),
    "verified in words": (
        lambda c: {**c, "email_verified": "true"},
        "the provider does not confirm the e-mail address (email_verified)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CLAIMS)
def test_a_token_with_a_wrong_claim_is_refused(sso: SingleSignOn, provider: OidcServer, case: str) -> None:
    provider.claims, why = BAD_CLAIMS[case]
    browser = Client()
    assert refused(browser, sign_in(browser)) == f"The provider's ID token was refused: {why}."


def test_an_unsigned_token_is_refused(sso: SingleSignOn, provider: OidcServer) -> None:
    provider.token = lambda token, claims: unsigned(claims)
    browser = Client()
    why = refused(browser, sign_in(browser))
    assert why == (
        "The provider's ID token was refused: it is signed with none, and only RS256 and ES256 are accepted."
    )


@pytest.mark.parametrize("secret", ["the client's secret", "the public key"])
def test_a_token_signed_with_something_shared_is_refused(sso: SingleSignOn, provider: OidcServer, secret: str) -> None:
    """The key confusion: what everybody knows (the public key) taken for the secret of an HMAC."""
    key = provider.keys[0]
    material = CLIENT_SECRET.encode() if secret == "the client's secret" else key.as_pem(private=False)
    provider.token = lambda token, claims: signed_with_hmac(str(key.kid), claims, material)
    browser = Client()
    assert "it is signed with HS256" in refused(browser, sign_in(browser))


def test_a_key_that_the_provider_does_not_publish_is_refused(sso: SingleSignOn, provider: OidcServer) -> None:
    published = provider.jwks()
    provider.rotate()
    provider.jwks = lambda: published  # type: ignore[method-assign]  # of this server alone
    browser = Client()
    why = refused(browser, sign_in(browser))
    assert why == "The provider's ID token was refused: it is signed with a key that the provider does not publish."
    assert provider.calls.count("jwks") == 2  # looked for once more, and not again and again


def test_another_key_under_a_known_name_is_refused(sso: SingleSignOn, provider: OidcServer) -> None:
    (other,) = provider.jwks()["keys"]
    provider.rotate()
    provider.jwks = lambda: {"keys": [{**other, "kid": provider.keys[0].kid}]}  # type: ignore[method-assign]  # of this server alone
    browser = Client()
    assert refused(browser, sign_in(browser)) == "The provider's ID token was refused: its signature is not right."


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "....", "é.é.é", "e30.e30.e30"])
def test_garbage_for_a_token_is_refused(sso: SingleSignOn, provider: OidcServer, token: str) -> None:
    provider.token = lambda _token, _claims: token
    browser = Client()
    assert refused(browser, sign_in(browser)).startswith("The provider's ID token was refused: ")


def test_a_tampered_token_is_refused(sso: SingleSignOn, provider: OidcServer) -> None:
    def swap(token: str, claims: Claims) -> str:
        head, _, signature = token.split(".")
        return f"{head}.{unsigned({**claims, 'email': 'other@acme.example'}).split('.')[1]}.{signature}"

    provider.token = swap
    browser = Client()
    assert refused(browser, sign_in(browser)) == "The provider's ID token was refused: its signature is not right."


# --- Answers that belong to no sign-in of this browser ------------------------------------------------------------


def test_an_answer_is_good_for_one_sign_in_of_the_browser_that_began_it(sso: SingleSignOn) -> None:
    browser, other = Client(), Client()
    query = come_back(leave(browser))

    stolen = other.get("/sso/callback", query)
    assert refused(other, stolen).startswith("This sign-in has taken too long or was begun in another browser.")
    assert browser.get("/sso/callback", query).status_code == 302
    browser.post("/logout")
    again = browser.get("/sso/callback", query)
    assert refused(browser, again).startswith("This sign-in has taken too long or was begun in another browser.")


def test_a_wrong_state_is_refused_and_ends_the_sign_in(sso: SingleSignOn, provider: OidcServer) -> None:
    browser = Client()
    query = come_back(leave(browser))
    wrong = browser.get("/sso/callback", {**query, "state": "é"})
    assert refused(browser, wrong) == "This answer belongs to another sign-in. Begin again."
    assert browser.get("/sso/callback", query).status_code == 401
    assert "token" not in provider.calls


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"error": "access_denied"}, "The provider did not sign you in (access_denied)."),
        ({"code": ""}, "The provider's answer holds no code. Begin again."),
        ({"iss": "https://evil.example"}, "This answer is from another provider. Begin again."),
        ({"code": "made-up"}, "The provider's answer to the sign-in could not be read: it answered with status 400."),
    ],
)
def test_answers_without_a_good_code(sso: SingleSignOn, query: dict[str, str], sentence: str) -> None:
    browser = Client()
    answer = browser.get("/sso/callback", {**come_back(leave(browser)), **query})
    assert refused(browser, answer).startswith(sentence)


def test_a_sign_in_that_takes_too_long_is_refused(sso: SingleSignOn) -> None:
    browser = Client()
    query = come_back(leave(browser))
    session = browser.session
    kept = session["pending_sso"]
    session["pending_sso"] = {**kept, "flow": {**kept["flow"], "started_at": kept["flow"]["started_at"] - 601}}
    session.save()
    assert refused(browser, browser.get("/sso/callback", query)).startswith("This sign-in has taken too long")


@pytest.mark.parametrize("change", ["switched off", "archived"])
def test_a_sign_in_ends_when_the_company_s_does(sso: SingleSignOn, acme: Character, change: str) -> None:
    browser = Client()
    query = come_back(leave(browser))
    if change == "archived":
        Company.objects.filter(pk=acme.company.pk).update(archived_at=timezone.now())
    else:
        SingleSignOn.objects.update(is_enabled=False)
    assert refused(browser, browser.get("/sso/callback", query)).startswith("Your company's single sign-on was")


# --- A provider that is down, or talks nonsense -------------------------------------------------------------------


def failures_in(schema: str) -> list[str]:
    with schema_context(schema):
        rows = AuditEvent.objects.filter(event_type="user.sign_in_failed").order_by("position")
        return [row.description for row in rows]


def test_a_failure_at_the_provider_is_in_the_company_s_log(sso: SingleSignOn, acme: Character) -> None:
    browser = Client()
    answer = browser.get("/sso/callback", {**come_back(leave(browser)), "error": "access_denied"})
    assert "access_denied" in refused(browser, answer)
    [told] = failures_in(acme.company.schema_name)
    assert told.startswith("Through the company's provider: The provider did not sign you in (access_denied).")
    assert failures_in("public") == []


def test_a_provider_that_cannot_be_asked_is_in_the_company_s_log(
    sso: SingleSignOn, acme: Character, provider: OidcServer
) -> None:
    provider.stop()
    Client().post("/sso/login", {"email": "admin@acme.example"})
    assert len(failures_in(acme.company.schema_name)) == 1


def test_an_answer_to_nothing_is_in_the_platform_s_log(sso: SingleSignOn, acme: Character) -> None:
    assert Client().get("/sso/callback", {"code": "x", "state": "y"}).status_code == 401
    assert (len(failures_in("public")), failures_in(acme.company.schema_name)) == (1, [])


def test_a_provider_that_is_down_is_told_in_words(sso: SingleSignOn, provider: OidcServer) -> None:
    provider.stop()
    answer = Client().post("/sso/login", {"email": "admin@acme.example"})
    (sentence,) = answer.context["form"].errors["__all__"]
    assert sentence.startswith("The provider's discovery document could not be read: The server could not be reached")


def test_a_provider_that_goes_down_on_the_way_is_told_in_words(sso: SingleSignOn, provider: OidcServer) -> None:
    browser = Client()
    query = come_back(leave(browser))
    provider.stop()
    answer = browser.get("/sso/callback", query)
    assert refused(browser, answer).startswith("The provider could not be asked for the sign-in: ")


GARBAGE = ["", "<html>", "[]", "null", "[" * 100_000, '"text"', "{}"]


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: text[:8])
@pytest.mark.parametrize("name", ["token", "jwks"])
def test_garbage_of_the_provider_lets_nobody_in(sso: SingleSignOn, provider: OidcServer, name: str, text: str) -> None:
    provider.bodies[name] = (200, text)
    browser = Client()
    assert refused(browser, sign_in(browser)).startswith("The provider's ")


@pytest.mark.parametrize("keys", ["x", [1, None], [{}], [{"kty": "RSA"}], [{"kty": "RSA", "n": "!", "e": 3}]])
def test_garbage_for_keys_lets_nobody_in(sso: SingleSignOn, provider: OidcServer, keys: Any) -> None:
    kid = provider.keys[0].kid
    named = [{**key, "kid": kid} if isinstance(key, dict) else key for key in keys] if isinstance(keys, list) else keys
    provider.jwks = lambda: {"keys": named}  # type: ignore[method-assign]  # of this server alone
    browser = Client()
    assert refused(browser, sign_in(browser)).startswith("The provider's ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<html>", "The provider's discovery document is not JSON."),
        ("[]", "The provider's discovery document is not a JSON object."),
        ("{}", "The provider calls itself None. Enter exactly that as the issuer."),
        ("x" * 600_000, "The provider's discovery document could not be read: The file is larger than"),
    ],
    ids=["html", "list", "empty", "huge"],
)
def test_a_wrong_discovery_document_is_told_in_words(
    sso: SingleSignOn, acme: Character, provider: OidcServer, text: str, sentence: str
) -> None:
    provider.bodies["openid-configuration"] = (200, text)
    answer = Client().post("/sso/login", {"email": "admin@acme.example"})
    (told,) = answer.context["form"].errors["__all__"]
    assert told.startswith(sentence)
    with pytest.raises(SingleSignOnError) as failure:
        check_single_sign_on(actor=acme.principal)
    assert str(failure.value) == told


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": ["x"]},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_discovery_is_checked(acme: Character, sso: SingleSignOn, provider: OidcServer, change: Claims) -> None:
    provider.document = change
    with pytest.raises(SingleSignOnError):
        check_single_sign_on(actor=acme.principal)


def test_a_provider_inside_the_operator_s_network_is_not_reached(
    sso: SingleSignOn, acme: Character, provider: OidcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OUTBOUND_ALLOW")
    with pytest.raises(SingleSignOnError, match=r"Connections to 127\.0\.0\.1 are not allowed"):
        check_single_sign_on(actor=acme.principal)
    assert provider.calls == []


def test_the_secret_does_not_reach_endpoints_inside_the_network(
    sso: SingleSignOn, provider: OidcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Client()
    query = come_back(leave(browser))
    monkeypatch.delenv("OUTBOUND_ALLOW")
    assert "Connections to 127.0.0.1 are not allowed" in refused(browser, browser.get("/sso/callback", query))
    assert "token" not in provider.calls


def test_only_https_providers_where_the_installation_itself_is_served_so(
    acme: Character, provider: OidcServer, settings: Settings
) -> None:
    settings.SECURE = True
    with pytest.raises(ServiceError, match="https address"):
        configure(acme, provider.issuer)


# --- Required by the company --------------------------------------------------------------------------------------


def test_where_it_is_required_passwords_are_refused_to_all_but_admins(acme: Character, provider: OidcServer) -> None:
    user = person(acme, "worker@acme.example")
    session = start_session(user=user)
    browser = Client()
    browser.force_login(user, "tenants.backends.EmailBackend")
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {session.tokens.access}")
    assert api.get("/api/v1/agent").status_code == 200

    configure(acme, provider.issuer, requires_sso=True)

    assert api.get("/api/v1/agent").status_code == 401
    refresh = APIClient().post("/api/v1/auth/refresh", {"refresh_token": session.tokens.refresh})
    login = APIClient().post(LOGIN, {"email": user.email, "password": PASSWORD})
    wrong = APIClient().post(LOGIN, {"email": user.email, "password": "wrong"})
    admin = APIClient().post(LOGIN, {"email": acme.admin.email, "password": PASSWORD})
    assert [answer.status_code for answer in (refresh, login, wrong, admin)] == [401, 403, 401, 200]
    assert (login.json()["code"], wrong.json()["code"]) == ("SSO_REQUIRED", "INVALID_CREDENTIALS")
    assert browser.get("/api/v1/agent").json()["code"] == "SSO_REQUIRED"
    assert browser.get("/home")["Location"] == "/sso/login"
    assert not is_signed_in(browser)
    form = Client().post("/login", {"email": user.email, "password": PASSWORD})
    assert "Sign in with your company" in form.context["form"].errors["__all__"][0]
    provider.email = user.email
    assert sign_in(browser).status_code == 302
    assert browser.get("/home").status_code == 200


def test_it_cannot_be_required_while_it_is_off(acme: Character, provider: OidcServer) -> None:
    with pytest.raises(ServiceError, match="must be on"):
        configure(acme, provider.issuer, is_enabled=False, requires_sso=True)


# --- Finding the company by the address ---------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["nobody@initech.example", "admin@globex.example", "x@acme.example.evil.example"])
def test_an_address_of_no_company_s_provider_is_told_nothing_more(
    sso: SingleSignOn, globex: Character, email: str
) -> None:
    answer = Client().post("/sso/login", {"email": email})
    assert answer.context["form"].errors == {
        "email": ["There is no company sign-in for this address. Log in with your password."]
    }


def test_whether_a_person_exists_is_not_told(sso: SingleSignOn, globex: Character, provider: OidcServer) -> None:
    person(globex, "spy@acme.example")
    emails = ("admin@acme.example", "nobody@acme.example", "spy@acme.example")
    assert [leave(Client(), email).partition("?")[0] for email in emails] == [f"{provider.issuer}/authorize"] * 3


def test_the_page_leads_back_to_pages_of_ours_only(sso: SingleSignOn) -> None:
    assert sign_in(Client(), next="https://evil.example/")["Location"] == "/home"


def test_the_policy_lets_the_form_lead_to_a_provider(db: None) -> None:
    policy = Client().get("/sso/login")["Content-Security-Policy"]
    assert "form-action 'self' https: http:" in policy
    assert "form-action 'self';" in Client().get("/login")["Content-Security-Policy"] + ";"


# --- Configuring it -----------------------------------------------------------------------------------------------

FORM = {
    "form": "sso", "issuer": "https://login.acme.example", "client_id": "abc", "client_secret": "very-secret",
    "email_domains": "acme.example", "default_role": "user", "is_enabled": "on",
}  # fmt: skip


def test_an_admin_configures_it_on_the_page(acme: Character, acme_client: Client) -> None:
    confirm_address(acme)
    assert acme_client.get("/security").context["sso_form"]["default_role"].value() == "user"
    assert acme_client.post("/security", FORM).status_code == 302
    row = SingleSignOn.objects.get()
    assert (row.company, row.client_secret, row.is_enabled) == (acme.company, "very-secret", True)
    page = acme_client.get("/security").content.decode()
    assert ("very-secret" in page, "http://localhost:8543/sso/callback" in page) == (False, True)
    with tenant_context(acme.company):
        event = AuditEvent.objects.get(event_type="company.security_changed")
    assert event.changes["client_secret"] == ["", REDACTED]

    acme_client.post("/security", {**FORM, "client_secret": "", "client_id": "def"})
    row.refresh_from_db()
    assert (row.client_id, row.client_secret) == ("def", "very-secret")
    acme_client.post("/security", {**FORM, "client_secret": "", "issuer": "https://evil.example"})
    row.refresh_from_db()
    assert row.client_secret == ""

    acme_client.post("/security", {"form": "remove"})
    assert (SingleSignOn.objects.count(), EmailDomain.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"email_domains": "globex.example"}, "email_domains", "Nobody of your company has a confirmed e-mail address"),
        ({"email_domains": "gmail.com"}, "email_domains", "Anybody can have an address at gmail.com"),
        ({"email_domains": "acme"}, "email_domains", "acme is not a domain."),
        ({"email_domains": "a@acme.example"}, "email_domains", "a@acme.example is not a domain."),
        ({"email_domains": " , "}, "email_domains", "Name at least one e-mail domain"),
        ({"issuer": "https://login.acme.example/?x=1"}, "issuer", "Enter the issuer's https address"),
        ({"issuer": "ftp://login.acme.example"}, "issuer", "Enter the issuer's https address"),
        ({"issuer": "https://user:pass@login.acme.example"}, "issuer", "Enter the issuer's https address"),
        ({"default_role": "super_admin"}, "default_role", "Select a valid choice."),
    ],
)
def test_settings_that_cannot_be_saved(
    acme: Character, acme_client: Client, change: dict[str, str], field: str, sentence: str
) -> None:
    confirm_address(acme)
    answer = acme_client.post("/security", {**FORM, **change})
    assert answer.status_code == 200
    assert answer.context["sso_form"].errors[field][0].startswith(sentence)
    assert SingleSignOn.objects.count() == 0


def test_a_domain_needs_a_confirmed_address(acme: Character, acme_client: Client) -> None:
    answer = acme_client.post("/security", FORM)
    assert answer.context["sso_form"].errors["email_domains"][0].startswith("Nobody of your company has a confirmed")


def test_two_companies_do_not_share_a_domain(acme: Character, globex: Character, globex_client: Client) -> None:
    configure(acme, "https://login.acme.example")
    person(globex, "spy@acme.example", email_verified=True)
    answer = globex_client.post("/security", FORM)
    assert answer.context["sso_form"].errors["email_domains"] == [
        "Another company uses one of these domains. Ask the super admin of this installation."
    ]
    assert SingleSignOn.objects.filter(company=globex.company).count() == 0
    assert EmailDomain.objects.get().single_sign_on.company == acme.company


def test_the_test_button_says_how_it_went(sso: SingleSignOn, acme_client: Client, provider: OidcServer) -> None:
    def told() -> list[str]:
        answer = acme_client.post("/security", {"form": "test"}, follow=True)
        return [str(message) for message in answer.context["messages"]]

    assert told() == ["The provider answered: its endpoints are known, and it publishes 1 usable key."]
    provider.document = {"issuer": "https://login.acme.example"}
    assert told() == ["The provider calls itself https://login.acme.example. Enter exactly that as the issuer."]
    provider.document = {}
    provider.bodies["jwks"] = (200, '{"keys": []}')
    assert told() == ["The provider publishes no key for RS256 or ES256, the only ones that are accepted."]


def test_only_admins_see_and_change_the_security_settings(acme: Character) -> None:
    user = person(acme, "worker@acme.example")
    browser = Client()
    browser.force_login(user, "tenants.backends.EmailBackend")
    assert (browser.get("/security").status_code, browser.post("/security", FORM).status_code) == (403, 403)
    with pytest.raises(ServiceError, match="Ask an admin of your company"):
        check_single_sign_on(actor=principal_of(user))
    assert 'href="/security"' not in browser.get("/home").content.decode()


def test_each_company_sees_its_own_settings(acme: Character, globex: Character, globex_client: Client) -> None:
    configure(acme, "https://login.acme.example")
    assert globex_client.get("/security").context["sso"] is None
    globex_client.post("/security", {"form": "remove"})
    assert SingleSignOn.objects.count() == 1


def test_a_new_company_asks_for_nothing(db: None) -> None:
    user = register_company(
        company_name="Hooli", email="g@hooli.example", password=PASSWORD, first_name="G", last_name="B"
    )
    assert user.company is not None
    assert (user.company.requires_sso, user.company.requires_two_factor) == (False, False)


def test_api_sessions_of_admins_go_on_when_it_is_required(acme: Character, provider: OidcServer) -> None:
    api = bearer(acme)
    configure(acme, provider.issuer, requires_sso=True)
    assert api.get("/api/v1/agent").status_code == 200
