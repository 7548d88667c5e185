"""Mailed links through the whole platform: the published client asks, a worker mails, the link works."""

from __future__ import annotations

import uuid

from knowrithm_py.dataclass.error import KnowrithmAPIError

from knowrithm.tests.flows.test_sdk import refused
from knowrithm.tests.platform import FLOW, PASSWORD, Owner, bearer

pytestmark = FLOW
NEW_PASSWORD = "a-new-horse-battery"


def test_an_address_is_confirmed_by_the_mailed_token(owner: Owner) -> None:
    """Contract scenario 11."""
    public = owner.platform.client()
    email = f"{uuid.uuid4().hex}@acme.example"
    person = {"username": email[:20], "password": PASSWORD, "first_name": "Max", "last_name": "Mail"}
    owner.client.auth.create_user({"email": email, **person})
    assert public.auth.send_verification_email(email)["message"] != ""
    error = refused(public.auth.verify_email, "bad")
    assert (error.status_code, error.error_code) == (400, "LINK_INVALID")

    public.auth.verify_email(owner.platform.mailed_to(email, "/verify-email"))

    jwt = bearer(public.auth.login(email, PASSWORD)["access_token"])
    assert public.auth.get_current_user(jwt)["user"]["email_verified"] is True


def test_a_forced_reset_signs_out_and_the_mailed_link_lets_in_again(owner: Owner) -> None:
    """The last part of contract scenario 15."""
    public = owner.platform.client()
    email = f"{uuid.uuid4().hex}@acme.example"
    person = {"username": email[:20], "password": PASSWORD, "first_name": "Max", "last_name": "Forced"}
    user = owner.client.auth.create_user({"email": email, **person})["user"]
    jwt = bearer(public.auth.login(email, PASSWORD)["access_token"])

    assert list(owner.client.admin.force_password_reset(user["id"])) == ["message"]

    assert refused(public.users.get_profile, jwt).status_code == 401
    error = refused(public.auth.login, email, PASSWORD)
    assert (error.status_code, error.error_code) == (403, "PASSWORD_RESET_REQUIRED")
    token = owner.platform.mailed_to(email, "/password/reset")
    assert NEW_PASSWORD not in owner.platform.output()
    assert token not in owner.platform.output()
    page = owner.platform.get("/password/reset", params={"token": token})
    form = {"token": token, "password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
    cookies = {"csrftoken": page.cookies["csrftoken"]}
    done = owner.platform.post(
        "/password/reset", data={**form, "csrfmiddlewaretoken": cookies["csrftoken"]}, cookies=cookies
    )
    assert done.url.endswith("/login")
    assert public.auth.login(email, NEW_PASSWORD)["user"]["id"] == user["id"]


def test_refusals_are_errors_of_the_client(owner: Owner) -> None:
    error = refused(owner.platform.client().auth.send_verification_email, "no address")
    assert isinstance(error, KnowrithmAPIError)
    assert (error.status_code, error.message) == (400, "email: Enter a valid email address.")
