"""An OpenID Connect provider that speaks the protocol over real HTTP: discovery, authorize, token, jwks."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from tenants.oidc import challenge_of

CLIENT_ID, CLIENT_SECRET = "knowrithm-at-acme", "s3cret/with+signs:and more"
Claims = dict[str, Any]


class OidcServer:
    """Signs in whoever comes as `email`. The attributes bend what it says; `bodies` replaces an answer by raw text."""

    def __init__(self, *, email: str, algorithm: str = "RS256") -> None:
        self.email = email
        self.algorithm = algorithm
        self.claims: Callable[[Claims], Claims] = lambda claims: claims
        self.token: Callable[[str, Claims], str] = lambda token, claims: token
        self.document: dict[str, Any] = {}
        self.bodies: dict[str, tuple[int, str]] = {}
        self.calls: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.keys: list[RSAKey | ECKey] = []
        self._rotations = 0
        self.rotate()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        # A path of its own: what is cached of a server that had the same port before must not count.
        self.issuer = f"http://127.0.0.1:{self._http.server_address[1]}/{uuid.uuid4().hex}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def rotate(self) -> None:
        """Sign with a new key from now on, and publish it alone."""
        self._rotations += 1
        if self.algorithm == "ES256":
            self.keys = [ECKey.generate_key("P-256", {"kid": f"ec-{self._rotations}", "use": "sig"})]
        else:
            self.keys = [_rsa_key(self._rotations)]

    # --- What it answers ------------------------------------------------------------------------------------------

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            **self.document,
        }

    def jwks(self) -> Any:
        return KeySet(list(self.keys)).as_dict(private=False)

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        assert "openid" in query["scope"].split()
        code = uuid.uuid4().hex
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form.get("code", ""), None)
        basic = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ":"
        sent = tuple(unquote(part) for part in basic.split(":", 1)) if authorization else (
            form.get("client_id"), form.get("client_secret")
        )  # fmt: skip
        if sent != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        if (
            asked is None
            or form["redirect_uri"] != asked["redirect_uri"]
            or challenge_of(form["code_verifier"]) != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        claims = self.claims(self.ordinary_claims(asked["nonce"]))
        key = self.keys[0]
        token = jwt.encode({"alg": self.algorithm, "kid": key.kid}, claims, key)
        return 200, {"id_token": self.token(token, claims), "access_token": "x", "token_type": "Bearer"}

    def ordinary_claims(self, nonce: str) -> Claims:
        now = int(time.time())
        return {
            "iss": self.issuer, "sub": "248289761001", "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": nonce,
            "email": self.email, "email_verified": True, "given_name": "Grace", "family_name": "Hopper",
        }  # fmt: skip


def as_entra(claims: Claims) -> Claims:
    """A token as Entra ID makes it for a work account, with the optional claims `email`, `given_name`, `family_name`:
    it says nothing on whether the address is confirmed."""
    told = {name: value for name, value in claims.items() if name != "email_verified"}
    return {
        **told, "nbf": claims["iat"], "aio": "AWQAm/8TAAAA", "name": "Grace Hopper", "ver": "2.0",
        "oid": "00000000-0000-0000-66f3-3332eca7ea81", "preferred_username": claims["email"], "rh": "0.AXEA",
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "tid": "9122040d-6c67-4c5b-b112-36a304b66dad",
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
    }  # fmt: skip


def unsigned(claims: Claims) -> str:
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def signed_with_hmac(kid: str, claims: Claims, secret: bytes) -> str:
    """By hand: the library refuses to take a public key for a shared secret, and an attacker does not."""
    text = f"{_part({'alg': 'HS256', 'kid': kid})}.{_part(claims)}"
    return f"{text}.{_encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def _part(value: Claims) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@cache
def _rsa_key(number: int) -> RSAKey:
    """Making one takes a good part of a second: a few for all tests."""
    return RSAKey.generate_key(2048, {"kid": f"rsa-{number}", "use": "sig"})


def _handler_of(server: OidcServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

        def _answer(self, body: str) -> None:
            parts = urlsplit(self.path)
            name = parts.path.rsplit("/", 1)[-1]
            server.calls.append(name)
            if name in server.bodies:
                status, text = server.bodies[name]
                self._send(status, text)
            elif name == "openid-configuration":
                self._send(200, json.dumps(server.discovery()))
            elif name == "jwks":
                self._send(200, json.dumps(server.jwks()))
            elif name == "authorize":
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                self._send(302, "", location=server.authorize(query))
            elif name == "token":
                form = {key: values[0] for key, values in parse_qs(body).items()}
                status, answer = server.exchange(form, self.headers.get("Authorization", ""))
                self._send(status, json.dumps(answer))
            else:
                self._send(404, "")

        def _send(self, status: int, text: str, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    return Handler
