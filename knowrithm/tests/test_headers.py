"""Headers and origins, on real answers; and the production settings, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from rest_framework.test import APIClient

from conftest import Character
from tenants.services import ensure_super_admin

PRODUCTION = {
    "SECRET_KEY": "s3cret-" * 10,
    "JWT_SECRET_KEY": "t0ken-s" * 10,
    "ENCRYPTION_KEY": "encrypt" * 10,
    "BASE_URL": "https://knowrithm.example",
    "BEHIND_PROXY": "true",
}
STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "manifest-src": "'self'",
}


def policy(answer: Any) -> dict[str, str]:
    directives = (part.strip().partition(" ") for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: sources for name, _, sources in directives}


ANSWER = """
import json, django
from io import StringIO
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.test import Client
checked = StringIO()
call_command("check", deploy=True, fail_level="WARNING", stdout=checked)
if not settings.STATIC_ROOT.exists():
    call_command("collectstatic", interactive=False, verbosity=0)  # the page of a refused host names its files
answers = []
for host, scheme in (("knowrithm.example", "https"), ("127.0.0.1", "https"), ("evil.example", "https"),
                     ("knowrithm.example", "http")):
    answer = Client().get("/widget.js", headers={"host": host, "x-forwarded-proto": scheme})
    answers.append([answer.status_code, dict(answer.headers)])
cookies = [settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE]
print(json.dumps({
    "answers": answers, "hosts": settings.ALLOWED_HOSTS, "cookies": cookies, "check": checked.getvalue(),
}))
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("production")


def answers_of(data_dir: Path, **environment: str) -> dict[str, Any]:
    inherited = {name: os.environ[name] for name in ("PATH", "DATABASE_URL", "REDIS_URL") if name in os.environ}
    fixed = {"DJANGO_SETTINGS_MODULE": "knowrithm.settings", "LOG_LEVEL": "CRITICAL", "DATA_DIR": str(data_dir)}
    ran = subprocess.run(
        [sys.executable, "-c", ANSWER],
        cwd=settings.BASE_DIR,
        env={**inherited, **PRODUCTION, **fixed, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answered: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answered


def test_production_passes_the_check_and_answers_to_its_own_name_over_https(data_dir: Path) -> None:
    found = answers_of(data_dir)
    assert found["check"] == "System check identified no issues (1 silenced).\n"
    assert found["hosts"] == ["knowrithm.example", "localhost", "127.0.0.1", "[::1]"]
    assert found["cookies"] == [True, True]
    (own, headers), (loopback, _), (foreign, _), (plain, redirect) = found["answers"]
    assert (own, loopback, foreign, plain) == (200, 200, 400, 301)
    assert redirect["Location"] == "https://knowrithm.example/widget.js"
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_operator_may_name_other_hosts(data_dir: Path) -> None:
    found = answers_of(data_dir, ALLOWED_HOSTS="evil.example")
    assert [status for status, _ in found["answers"]] == [400, 400, 200, 400]


@pytest.mark.parametrize("path", ["/health", "/api/v1/agent", "/api/v1/no-such-thing"])
def test_data_may_do_nothing_in_a_browser(acme_api: APIClient, path: str) -> None:
    answer = acme_api.get(path)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert policy(answer) == {"default-src": "'none'", "frame-ancestors": "'none'"}
    assert "camera=()" in answer.headers["Permissions-Policy"].split(", ")


@pytest.mark.parametrize("path", ["/api/widget.js", "/api/docs?script="])
def test_a_script_is_no_page_either(path: str) -> None:
    assert policy(Client().get(path)) == {"default-src": "'none'", "frame-ancestors": "'none'"}


@pytest.mark.parametrize("path", ["/login", "/signup", "/home", "/agents", "/people", "/account"])
def test_pages_have_the_strict_policies(acme_client: Client, path: str) -> None:
    answer = Client().get(path) if path in {"/login", "/signup"} else acme_client.get(path)
    assert answer.status_code == 200
    assert policy(answer) == STRICT
    assert "camera=()" in answer.headers["Permissions-Policy"].split(", ")
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in Client().get(path, headers={"origin": "https://evil.example"}).headers


INLINE = "'self' 'unsafe-inline'"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "wider"),
    [
        ("/admin/", {"script-src": f"{INLINE} 'unsafe-eval'", "style-src": INLINE}),
        ("/admin/tenants/user/", {"script-src": f"{INLINE} 'unsafe-eval'", "style-src": INLINE}),
        ("/api/docs", {"style-src": INLINE}),
        ("/api/redoc", {"style-src": INLINE, "worker-src": "blob:"}),
    ],
)
def test_pages_of_others_have_a_policy_too(path: str, wider: dict[str, str]) -> None:
    client = Client()
    root = ensure_super_admin(email="root@example.org", password="a-long-enough-password")
    client.force_login(root, backend="tenants.backends.EmailBackend")
    assert policy(client.get(path)) == {**STRICT, **wider}


@pytest.mark.django_db
def test_the_swagger_page_has_no_script_in_itself() -> None:
    page = Client().get("/api/docs").content.decode()
    assert [part for part in page.split("<script")[1:] if " src=" not in part.partition(">")[0]] == []


# --- Cookies ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("acme")
def test_cookies_are_kept_from_scripts_and_other_sites() -> None:
    client = Client()
    client.get("/login")
    client.post("/login", {"email": "admin@acme.example", "password": "correct-horse-battery"})
    kept = {name: (bool(cookie["httponly"]), cookie["samesite"]) for name, cookie in client.cookies.items()}
    assert kept == {"csrftoken": (True, "Lax"), "knowrithm_session": (True, "Lax")}


# --- Other origins ------------------------------------------------------------------------------------------------

FOREIGN = {"HTTP_ORIGIN": "https://shop.example"}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/agent", "/v1/agent", "/api/api/v1/agent", "/widget.js", "/health", "/test"])
def test_any_site_may_call_the_api_without_cookies(path: str) -> None:
    ask = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PATCH", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization"}
    preflight = APIClient().options(path, **FOREIGN, **ask)  # type: ignore[arg-type]  # headers of the WSGI kind
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert set(preflight.headers["Access-Control-Allow-Methods"].split(", ")) >= {
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
    }  # fmt: skip
    assert set(preflight.headers["Access-Control-Allow-Headers"].split(", ")) >= {
        "content-type", "authorization", "x-api-key", "x-api-secret", "accept",
    }  # fmt: skip
    assert "Access-Control-Allow-Credentials" not in preflight.headers


def test_an_answer_to_another_site_is_readable_and_carries_no_credentials(acme_api: APIClient) -> None:
    answer = acme_api.get("/api/v1/agent", **FOREIGN)  # type: ignore[arg-type]  # as above
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_a_cookie_alone_changes_nothing_from_another_site(acme: Character) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(acme.admin, backend="tenants.backends.EmailBackend")
    body = {"name": "stolen"}
    answer = client.post("/api/v1/auth/api-keys", body, "application/json", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert not acme.company.api_keys.exists()
