"""The e-mail addresses and telephone numbers of leads at rest, when their company wants them encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, page_client
from knowrithm.celery import app as celery
from knowrithm.security.encryption import is_ciphertext
from leads import jobs
from leads.models import Lead, email_hash
from leads.selectors import encryption_state
from leads.services import register_lead
from leads.tasks import apply_encryption_everywhere
from tenants.audit.models import AuditEvent
from tenants.models import Company, User
from tenants.services import create_user

pytestmark = pytest.mark.django_db
PAGE = "/company/privacy"


def switch(who: Character, *, is_on: bool) -> None:
    Company.objects.filter(pk=who.company.pk).update(encrypts_lead_data=is_on)


def lead_of(who: Character, name: str = "Vi", **fields: Any) -> Lead:
    made: Lead = Lead.objects.create(
        agent=who.agent,
        **{"first_name": name, "email": f"{name}@Example.com", "phone": "+49 89 1234", **fields},
    )
    return made


def stored() -> list[tuple[str, str]]:
    """What lies in the database of the company whose schema is set."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT email, phone FROM leads_lead ORDER BY first_name")
        rows: list[tuple[str, str]] = cursor.fetchall()
    return rows


def test_in_clear_unless_the_company_wants_otherwise(in_acme: Character, globex: Character) -> None:
    switch(globex, is_on=True)
    lead_of(in_acme)
    assert stored() == [("Vi@Example.com", "+49 89 1234")]


def test_encrypted_at_rest_and_the_same_to_everybody_who_reads(in_acme: Character) -> None:
    switch(in_acme, is_on=True)
    lead = lead_of(in_acme)
    [(email, phone)] = stored()
    assert is_ciphertext(email)
    assert is_ciphertext(phone)
    found = Lead.objects.get(pk=lead.pk)
    assert (found.email, found.phone) == ("Vi@Example.com", "+49 89 1234")
    assert list(Lead.objects.values_list("email", flat=True)) == ["Vi@Example.com"]


def test_many_at_once_ask_once_whether_to_encrypt(
    in_acme: Character, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    switch(in_acme, is_on=True)
    leads = [Lead(agent=in_acme.agent, first_name="Vi", email=f"vi-{n}@example.com", phone="1234") for n in range(20)]
    with django_assert_num_queries(2):  # the question, and the insertion
        Lead.objects.bulk_create(leads)
    assert all(is_ciphertext(email) and is_ciphertext(phone) for email, phone in stored())


@pytest.mark.parametrize("write", ["save", "save some", "update", "bulk_create", "bulk_update"])
def test_every_way_to_write_encrypts(in_acme: Character, write: str) -> None:
    switch(in_acme, is_on=True)
    lead = lead_of(in_acme, email="old@example.com")
    lead.email = "new@example.com"
    if write == "save":
        lead.save()
    elif write == "save some":
        lead.save(update_fields=["email"])
    elif write == "update":
        Lead.objects.update(email=lead.email, email_hash=email_hash(lead.email))
    elif write == "bulk_create":
        Lead.objects.all().delete()
        Lead.objects.bulk_create([lead])
    else:
        lead.email_hash = email_hash(lead.email)
        Lead.objects.bulk_update([lead], ["email", "email_hash"])
    assert is_ciphertext(stored()[0][0])
    assert Lead.objects.get().email == "new@example.com"
    assert Lead.objects.with_email("NEW@example.com").count() == 1
    assert Lead.objects.with_email("old@example.com").count() == 0


@pytest.mark.parametrize("is_on", [False, True])
def test_an_address_is_one_lead_whatever_its_case(in_acme: Character, is_on: bool) -> None:
    switch(in_acme, is_on=is_on)

    def register(email: str) -> Lead:
        return register_lead(
            agent=in_acme.agent, company_id=in_acme.company.id, email=email, first_name="Vi", last_name="Sitor"
        ).lead

    assert register("vi@example.com") == register("VI@Example.COM")
    with pytest.raises(IntegrityError), transaction.atomic():
        lead_of(in_acme, email="Vi@example.com")


def test_hashes_of_two_companies_differ(acme: Character, globex: Character) -> None:
    hashes = set()
    for who in (acme, globex):
        with tenant_context(who.company):
            hashes.add(lead_of(who).email_hash)
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("text", "in_clear", "encrypted"),
    [
        ("vi@example.com", 1, 1),
        ("VI@EXAMPLE.COM", 1, 1),
        ("vi vi@example.com", 1, 1),
        ("Vi", 1, 1),
        ("xample.c", 1, 0),  # a part of an address is found only in clear
        ("gAAAAA", 0, 0),  # and ciphertext never
        ("nobody", 0, 0),
        ("", 1, 1),
    ],
)
def test_search(in_acme: Character, acme_api: APIClient, text: str, in_clear: int, encrypted: int) -> None:
    lead_of(in_acme)
    answers = []
    for is_on in (False, True):
        switch(in_acme, is_on=is_on)
        jobs.apply_encryption()
        answers.append(acme_api.get("/api/v1/lead/company", {"search": text}).json()["leads"])
        jobs_schema(in_acme)
    assert [len(rows) for rows in answers] == [in_clear, encrypted]
    assert all(row["email"] == "Vi@Example.com" for rows in answers for row in rows)


def jobs_schema(who: Character) -> None:
    """A request ends in the shared schema; the test goes on in the company's."""
    connection.set_tenant(who.company)  # type: ignore[attr-defined]  # django-tenants'


def test_switching_rewrites_what_is_there_and_a_killed_worker_s_rest(
    in_acme: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH", 2)
    for name in "abcde":
        lead_of(in_acme, name, phone="" if name == "c" else "123")
    before = dict(Lead.objects.values_list("pk", "updated_at"))
    switch(in_acme, is_on=True)

    assert jobs.apply_batch() == 2  # and here the worker dies
    state = encryption_state()
    assert (state.is_on, state.total, state.rewritten, state.is_complete) == (True, 5, 2, False)
    assert sorted(Lead.objects.values_list("email", flat=True)) == [f"{name}@Example.com" for name in "abcde"]
    assert [Lead.objects.with_email(f"{name}@example.com").count() for name in "abcde"] == [1] * 5

    jobs.apply_encryption()
    assert encryption_state().is_complete
    assert all(is_ciphertext(email) for email, _ in stored())
    assert [phone == "" for _, phone in stored()] == [False, False, True, False, False]
    assert jobs.apply_batch() == 0

    switch(in_acme, is_on=False)
    jobs.apply_encryption()
    assert stored()[:3] == [("a@Example.com", "123"), ("b@Example.com", "123"), ("c@Example.com", "")]
    assert dict(Lead.objects.values_list("pk", "updated_at")) == before


@pytest.fixture
def eager_worker() -> Iterator[None]:
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


def test_beat_takes_up_the_rest(in_acme: Character, eager_worker: None) -> None:
    lead_of(in_acme)
    switch(in_acme, is_on=True)
    apply_encryption_everywhere()
    jobs_schema(in_acme)
    assert encryption_state().is_complete


def test_an_admin_switches_on_the_page(
    acme: Character,
    acme_client: Client,
    eager_worker: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with tenant_context(acme.company):
        lead_of(acme)
    with django_capture_on_commit_callbacks(execute=True):
        assert acme_client.post(PAGE, {"encrypt": "on"}).url == PAGE  # type: ignore[attr-defined]
    with tenant_context(acme.company):
        assert is_ciphertext(stored()[0][0])
        event = AuditEvent.objects.get()
    assert (event.event_type, event.changes) == (
        "company.lead_encryption_changed",
        {"encrypts_lead_data": [False, True]},
    )
    assert "Turn encryption off" in acme_client.get(PAGE).content.decode()
    acme_client.post(PAGE, {"encrypt": "on"})
    with tenant_context(acme.company):
        assert AuditEvent.objects.count() == 1


def test_the_page_shows_how_far_it_is(acme: Character, acme_client: Client) -> None:
    with tenant_context(acme.company):
        lead_of(acme)
    switch(acme, is_on=True)
    page = acme_client.get(PAGE).content.decode()
    assert "0 of 1 leads are encrypted" in page
    assert "hx-get" in page
    with tenant_context(acme.company):
        jobs.apply_encryption()
    assert "leads are encrypted" not in acme_client.get(PAGE).content.decode()


def test_only_an_admin_switches(acme: Character) -> None:
    user = create_user(
        actor=acme.principal, email="u@acme.example", username="user", password=PASSWORD, first_name="U", last_name="S"
    )
    client = page_client(Character(acme.company, User.objects.get(pk=user.pk), acme.agent))
    assert "An admin of your company can change this." in client.get(PAGE).content.decode()
    client.post(PAGE, {"encrypt": "on"})
    assert not Company.objects.get(pk=acme.company.pk).encrypts_lead_data


@pytest.mark.parametrize("is_on", [True, False])
def test_a_known_address_is_found_while_secret_key_changes(acme: Character, settings: Settings, is_on: bool) -> None:
    """Indexed under the old key, looked up under both; one that is written now has the new key's index."""
    switch(acme, is_on=is_on)
    with tenant_context(acme.company):
        old = lead_of(acme)
        was = old.email_hash
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-secret-key-of-today-which-is-long"
        assert Lead.objects.with_email("VI@example.com").get() == old
        assert Lead.objects.matching("vi@EXAMPLE.com").get() == old
        again = register_lead(agent=acme.agent, company_id=acme.company.pk, email="vi@example.com", first_name="Vi")
        assert again.lead == old
        assert Lead.objects.count() == 1
        call_command("rotate_encryption")
    with tenant_context(acme.company):
        settings.SECRET_KEY_FALLBACKS = []
        assert Lead.objects.with_email("vi@example.com").get() == old
        assert Lead.objects.get().email_hash == email_hash("vi@example.com") != was
