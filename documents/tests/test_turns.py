"""One company after the other, however many documents each has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.utils import timezone
from django_tenants.utils import tenant_context

from conftest import Character
from documents import jobs, tasks
from documents.enums import DocumentStatus, JobStatus
from documents.ingestion import sandbox
from documents.models import Document, IngestionJob
from knowrithm.db.redis import sync_redis
from knowrithm.turns import ask_for_turn, forget_turns, leave_turns, take_turn
from tenants.models import Company


@pytest.fixture(autouse=True)
def no_turns() -> None:
    for key in sync_redis().scan_iter("turns:*"):
        sync_redis().delete(key)


def add(who: Character, *names: str, is_bulk: bool = False) -> None:
    with tenant_context(who.company):
        for name in names:
            document = Document(agent=who.agent, original_filename=name, document_type="txt", file_size=5)
            document.file.save("original", ContentFile(f"The text of {name}.".encode()), save=False)
            document.save()
            first = None if is_bulk else tasks.ingest_first
            jobs.queue_job(document, tasks.ingest, first=first, is_bulk=is_bulk)


def read_one(who: Character) -> str:
    """What a worker reads that gets a message of this company; "" for nothing."""
    before = done()
    found = jobs.work_in_turn(who.company.schema_name, tasks.ingest)
    new = done() - before
    assert found == bool(new)
    return new.pop() if new else ""


def done() -> set[str]:
    names: set[str] = set()
    for company in Company.objects.all():
        with tenant_context(company):
            read = Document.objects.filter(status=DocumentStatus.PROCESSED)
            names |= set(read.values_list("original_filename", flat=True))
    return names


def test_whoever_waits_longest_is_served_and_comes_back_where_it_was() -> None:
    for name in ("a", "b"):
        ask_for_turn("x", name)
        ask_for_turn("x", name)
    assert [take_turn("x") for _ in range(4)] == ["a", "b", "a", "b"]
    leave_turns("x", "b")
    assert [take_turn("x") for _ in range(2)] == ["a", "a"]
    ask_for_turn("x", "b")
    ask_for_turn("x", "c")
    assert [take_turn("x") for _ in range(3)] == ["c", "b", "a"]
    forget_turns("b")
    for name in ("a", "c"):
        leave_turns("x", name)
    assert take_turn("x") is None
    assert sorted(cast("list[str]", sync_redis().hkeys("turns:x:served"))) == ["a", "c"]


@pytest.mark.django_db
def test_one_document_does_not_wait_for_another_companys_many(acme: Character, globex: Character) -> None:
    add(acme, "a1", "a2", "a3", "a4")
    assert [read_one(acme), read_one(acme)] == ["a1", "a2"]
    add(globex, "g1")
    ask_for_turn(jobs.TURNS, globex.company.schema_name)  # what its upload does once it is committed
    # The queue still holds acme's messages; globex's own comes last.
    assert [read_one(acme), read_one(acme), read_one(globex)] == ["g1", "a3", "a4"]
    assert read_one(acme) == ""


@pytest.mark.django_db
def test_the_first_document_of_a_company_is_read_out_of_turn(acme: Character, globex: Character) -> None:
    add(acme, "a1", "a2")
    add(globex, "g1", "g2")
    tasks.ingest_first(globex.company.schema_name)
    assert done() == {"g1"}
    with tenant_context(globex.company):
        IngestionJob.claim(IngestionJob.in_line().get().pk)
    tasks.ingest_first(globex.company.schema_name)  # its second one is under way
    assert done() == {"g1"}
    with jobs._out_of_turn:
        tasks.ingest_first(acme.company.schema_name)  # somebody else's is
    assert done() == {"g1"}
    tasks.ingest_first(acme.company.schema_name)
    assert done() == {"g1", "a1"}


@pytest.mark.django_db
def test_a_worker_is_called_out_of_turn_for_the_first_document_alone(
    acme: Character, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    called: list[str] = []
    monkeypatch.setattr(tasks.ingest, "apply_async", lambda **options: None)
    monkeypatch.setattr(tasks.ingest_first, "apply_async", lambda **options: called.append(options["args"][0]))

    def add_now(*names: str) -> int:
        called.clear()
        with django_capture_on_commit_callbacks(execute=True):
            add(acme, *names)
        assert set(called) <= {acme.company.schema_name}
        return len(called)

    assert add_now("a1", "a2") == 1
    assert add_now("a3") == 0
    assert [read_one(acme) for _ in range(3)] == ["a1", "a2", "a3"]
    assert add_now("a4") == 1


@pytest.mark.django_db
def test_what_a_person_sends_comes_before_what_is_read_again(acme: Character) -> None:
    add(acme, "old", is_bulk=True)
    add(acme, "new")
    assert [read_one(acme), read_one(acme)] == ["new", "old"]


@pytest.mark.django_db
def test_what_is_not_due_waits_and_holds_nobody_up(acme: Character, globex: Character) -> None:
    add(acme, "later")
    with tenant_context(acme.company):
        IngestionJob.objects.update(due_at=timezone.now() + timedelta(minutes=1))
        assert not jobs.has_work()
    add(globex, "now")
    ask_for_turn(jobs.TURNS, globex.company.schema_name)
    assert [read_one(acme), read_one(acme)] == ["now", ""]
    with tenant_context(acme.company):
        IngestionJob.objects.update(due_at=timezone.now())
        assert jobs.has_work()
    assert read_one(acme) == "later"


@pytest.mark.django_db
def test_a_company_out_of_use_is_passed_over(acme: Character, globex: Character) -> None:
    add(acme, "a")
    add(globex, "g")
    acme.company.is_active = False
    acme.company.save()
    ask_for_turn(jobs.TURNS, globex.company.schema_name)
    assert [read_one(acme), read_one(acme)] == ["g", ""]


@pytest.mark.django_db
def test_a_dead_workers_job_is_taken_up_first_and_given_up_in_the_end(acme: Character) -> None:
    add(acme, "dead", "other")
    gone = timezone.now() - timedelta(seconds=1)
    with tenant_context(acme.company):
        dead = IngestionJob.objects.filter(document__original_filename="dead")
        dead.update(status=JobStatus.PROCESSING, lease_until=gone, attempts=3)
        assert jobs.has_work()
    assert read_one(acme) == "dead"
    with tenant_context(acme.company):
        dead.update(status=JobStatus.PROCESSING, lease_until=gone, attempts=4)
        jobs.work_in_turn(acme.company.schema_name, tasks.ingest)
        document = Document.objects.get(original_filename="dead")
        assert (document.status, document.error_code) == ("failed", "DOC_UNREADABLE")


def test_no_document_takes_as_long_as_a_task_may_nor_a_task_as_long_as_a_message_is_kept() -> None:
    longest = sandbox.LONGEST + jobs.LONGEST_EMBEDDING + 60
    limit = settings.CELERY_TASK_TIME_LIMIT
    assert longest < limit < settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    assert (settings.CELERY_TASK_ACKS_LATE, settings.CELERY_WORKER_PREFETCH_MULTIPLIER) == (True, 1)
