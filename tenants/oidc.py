"""OpenID Connect, the relying party's side of the authorization code flow with PKCE. No rows, no sessions.

Every call leaves through `knowrithm.net.outbound`: the provider's address is the company's choice. What a provider
answers is believed only after its signature and every claim have been checked (OpenID Connect Core, 3.1.3.7).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings
from django.core.cache import cache
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from knowrithm.net.outbound import FetchedPage, OutboundError, fetch, post_form
from tenants.exceptions import SingleSignOnError

ALGORITHMS = {"RS256": "RSA", "ES256": "EC"}  # and the key each wants; never none, never a shared secret
SCOPES = "openid email profile"
LEEWAY = 60  # seconds that the provider's clock may differ
OLDEST = 600  # seconds since the token was made
CACHE_SECONDS = 3600
TIMEOUT = 10.0
MAX_BYTES = 512 * 1024
LONGEST_SUBJECT = 255  # OpenID Connect Core, 2


@dataclass(frozen=True, slots=True)
class Provider:
    """What the discovery document says."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_basic: bool  # the client's secret as HTTP Basic; else in the form


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for. `subject` is theirs for ever; the address is for `confirmed_email` to judge.

    `is_email_verified` is None where the provider says nothing about it.
    """

    subject: str
    email: Any
    is_email_verified: bool | None
    first_name: str
    last_name: str


def is_allowed_address(address: str) -> bool:
    """Over HTTPS, unless this installation itself is a trial without it."""
    parts = urlsplit(address)
    schemes = ("https",) if settings.SECURE else ("https", "http")
    return parts.scheme in schemes and bool(parts.hostname)


def discover(issuer: str, *, fresh: bool = False) -> Provider:
    """The provider's endpoints, at most an hour old. Raises `SingleSignOnError` with the problem in words."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    document = _cached_json(url, what="discovery document", fresh=fresh)
    if document.get("issuer") != issuer:
        name = _printable(document.get("issuer"), longest=200)
        raise SingleSignOnError(f"The provider calls itself {name}. Enter exactly that as the issuer.")
    endpoints = {}
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        address = document.get(name)
        if not isinstance(address, str) or not is_allowed_address(address):
            raise SingleSignOnError(f"The provider's discovery document names no usable {name}.")
        endpoints[name] = address
    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Provider(issuer=issuer, takes_basic="client_secret_basic" in methods, **endpoints)


def check_provider(issuer: str) -> int:
    """Ask the provider anew for its document and its keys: how many keys can be used. Raises `SingleSignOnError`."""
    provider = discover(issuer, fresh=True)
    usable = [key for key in _keys(provider, fresh=True) if key.get("kty") in ALGORITHMS.values()]
    if not usable:
        raise SingleSignOnError("The provider publishes no key for RS256 or ES256, the only ones that are accepted.")
    return len(usable)


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def authorization_url(
    provider: Provider, *, client_id: str, redirect_uri: str, state: str, nonce: str, verifier: str, login_hint: str
) -> str:
    query = urlencode(
        {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            "login_hint": login_hint,
        }
    )
    separator = "&" if urlsplit(provider.authorization_endpoint).query else "?"
    return f"{provider.authorization_endpoint}{separator}{query}"


def exchange_code(
    provider: Provider, *, client_id: str, client_secret: str, redirect_uri: str, code: str, verifier: str
) -> str:
    """The ID token for a code. Raises `SingleSignOnError`."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    auth = None
    if client_secret and provider.takes_basic:
        auth = (quote(client_id, safe=""), quote(client_secret, safe=""))
    else:
        form |= {"client_id": client_id} | ({"client_secret": client_secret} if client_secret else {})
    try:
        page = post_form(provider.token_endpoint, form, max_bytes=MAX_BYTES, timeout=TIMEOUT, auth=auth)
    except OutboundError as error:
        raise SingleSignOnError(f"The provider could not be asked for the sign-in: {error}") from error
    token = _json(page, what="answer to the sign-in").get("id_token")
    if not isinstance(token, str):
        raise SingleSignOnError("The provider's answer to the sign-in holds no ID token.")
    return token


def read_id_token(provider: Provider, token: str, *, client_id: str, nonce: str) -> Identity:
    """Whom the token names, after its signature and claims were checked. Raises `SingleSignOnError`."""
    claims = _verified_claims(provider, token)
    now = time.time()
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != provider.issuer:
        raise _refused("it is from another issuer")
    if client_id not in audiences or (len(audiences) > 1 and "azp" not in claims):
        raise _refused("it is meant for another application")
    if claims.get("azp", client_id) != client_id:
        raise _refused("it is meant for another application")
    if _time(claims, "exp") < now - LEEWAY:
        raise _refused("it has expired")
    if not now - OLDEST <= _time(claims, "iat") <= now + LEEWAY:
        raise _refused("it was not made just now; check the clocks of both servers")
    if "nbf" in claims and _time(claims, "nbf") > now + LEEWAY:
        raise _refused("it is not valid yet")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise _refused("it belongs to another sign-in")
    return Identity(
        subject=_subject(claims),
        email=claims.get("email"),
        is_email_verified=_is_email_verified(claims),
        first_name=_printable(claims.get("given_name") or "", longest=100),
        last_name=_printable(claims.get("family_name") or "", longest=100),
    )


def _is_email_verified(claims: dict[str, Any]) -> bool | None:
    """Entra ID says nothing by the standard's claim. Where it is set up to, it says by one of its own that the owner of
    the address's domain is known; as a number or a text in some tokens."""
    if claims.get("email_verified") is not None:
        return claims["email_verified"] is True
    return True if claims.get("xms_edov") in (True, "1", "true") else None


def confirmed_email(identity: Identity, *, is_silence_enough: bool) -> str:
    """The address as it is. `is_silence_enough` where the company trusts the provider for all its addresses; what the
    provider says is not confirmed never is.

    Raises `SingleSignOnError`: an address that only looks like somebody's must not become theirs.
    """
    if not (is_silence_enough if identity.is_email_verified is None else identity.is_email_verified):
        raise _refused("the provider does not confirm the e-mail address (email_verified)")
    email = identity.email
    if not isinstance(email, str) or not email.isascii() or not email.isprintable() or len(email) > 254:
        raise _refused("it holds no usable e-mail address")
    return email


def _verified_claims(provider: Provider, token: str) -> dict[str, Any]:
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError) as error:
        raise _refused("it is no signed token") from error
    if header.get("alg") not in ALGORITHMS:
        raise _refused(
            f"it is signed with {_printable(header.get('alg'), longest=20)}, and only RS256 and ES256 are accepted"
        )
    # Providers change their keys: one that is not known is looked for once more in a fresh list.
    key = _matching(_keys(provider), header) or _matching(_keys(provider, fresh=True), header)
    if key is None:
        raise _refused("it is signed with a key that the provider does not publish")
    try:
        imported = RSAKey.import_key(key) if key["kty"] == "RSA" else ECKey.import_key(key)
        return dict(jwt.decode(token, imported, algorithms=[header["alg"]]).claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _refused("its signature is not right") from error


def _matching(keys: Iterable[dict[str, Any]], header: dict[str, Any]) -> dict[str, Any] | None:
    """The one key that the token's header can mean."""
    found = [
        key
        for key in keys
        if key.get("kty") == ALGORITHMS[header["alg"]]
        and key.get("use", "sig") == "sig"
        and key.get("alg", header["alg"]) == header["alg"]
        and ("kid" not in header or key.get("kid") == header["kid"])
    ]
    return found[0] if len(found) == 1 else None


def _keys(provider: Provider, *, fresh: bool = False) -> list[dict[str, Any]]:
    keys = _cached_json(provider.jwks_uri, what="list of keys", fresh=fresh).get("keys")
    if not isinstance(keys, list):
        raise SingleSignOnError("The provider's list of keys is not a list of keys.")
    return [key for key in keys if isinstance(key, dict)]


def _cached_json(url: str, *, what: str, fresh: bool) -> dict[str, Any]:
    cache_key = f"oidc.{hashlib.sha256(url.encode()).hexdigest()}"
    document: dict[str, Any] | None = None if fresh else cache.get(cache_key)
    if document is None:
        try:
            page = fetch(url, max_bytes=MAX_BYTES, timeout=TIMEOUT, accept="application/json")
        except OutboundError as error:
            raise SingleSignOnError(f"The provider's {what} could not be read: {error}") from error
        if not is_allowed_address(page.url):
            raise SingleSignOnError(f"The provider's {what} is not served over HTTPS.")
        document = _json(page, what=what)
        cache.set(cache_key, document, CACHE_SECONDS)
    return document


def _json(page: FetchedPage, *, what: str) -> dict[str, Any]:
    if page.status != 200:
        raise SingleSignOnError(f"The provider's {what} could not be read: it answered with status {page.status}.")
    try:
        document = json.loads(page.body)
    except (ValueError, RecursionError) as error:
        raise SingleSignOnError(f"The provider's {what} is not JSON.") from error
    if not isinstance(document, dict):
        raise SingleSignOnError(f"The provider's {what} is not a JSON object.")
    return document


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(f"it says no {name}")
    return float(value)


def _subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isascii() or not subject.isprintable():
        raise _refused("it names nobody")
    if not 0 < len(subject) <= LONGEST_SUBJECT:
        raise _refused("it names nobody")
    return subject


def _printable(value: Any, *, longest: int) -> str:
    """Something foreign inside a sentence or a name."""
    return "".join(character for character in str(value) if character.isprintable()).strip()[:longest]


def _refused(why: str) -> SingleSignOnError:
    return SingleSignOnError(f"The provider's ID token was refused: {why}.")
