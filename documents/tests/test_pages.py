"""The dashboard's pages and fragments about documents."""

from __future__ import annotations

import json
import uuid

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import F
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries

from agents.models import Agent
from conftest import Character
from documents.enums import DocumentStatus
from documents.indexes import hold_or_make_index, record
from documents.ingestion.sandbox import Chunking
from documents.models import Document, DocumentChunk
from documents.views import CHUNKS_PER_PAGE, chunk_url

HTMX = {"HX-Request": "true"}


def document_of(who: Character, name: str = "returns.md", **fields: object) -> Document:
    with tenant_context(who.company):
        document: Document = Document.objects.create(agent=who.agent, original_filename=name, **fields)
        Agent.objects.filter(pk=who.agent.pk).update(documents_count=F("documents_count") + 1)
        return document


def chunks_of(who: Character, document: Document, count: int) -> list[DocumentChunk]:
    with tenant_context(who.company):
        search_index = hold_or_make_index(document.home)
        return DocumentChunk.objects.bulk_create(
            DocumentChunk(
                document=document,
                search_index=search_index,
                index=index,
                content=f"Passage number {index}.",
                headings=["Returns", "EU"],
                locator={"type": "lines", "start": index + 1, "end": index + 1},
                word_count=3,
            )
            for index in range(count)
        )


def reloaded(who: Character, document: Document) -> Document:
    with tenant_context(who.company):
        found: Document = Document.objects.get(pk=document.pk)
        return found


def files(*given: tuple[str, bytes]) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(name, content) for name, content in given]


def names_in(who: Character) -> list[str]:
    with tenant_context(who.company):
        return sorted(Document.objects.values_list("original_filename", flat=True))


# --- Upload -------------------------------------------------------------------------------------------------------


def test_upload_answers_with_the_rows_it_took_and_what_it_refused(acme: Character, acme_client: Client) -> None:
    sent = files(("returns.md", b"# Returns\n\n30 days."), ("fake.pdf", b"plain text"), ("empty.txt", b""))
    form = {"home": acme.agent.pk, "files": sent}
    response = acme_client.post("/documents/upload", form, headers=HTMX)
    assert [document.original_filename for document in response.context["accepted"]] == ["returns.md"]
    assert [rejected.name for rejected in response.context["rejected"]] == ["fake.pdf", "empty.txt"]
    body = response.content.decode()
    assert ("2 files could not be taken" in body, "hx-swap-oob" in body, "<html" in body) == (True, True, False)
    assert names_in(acme) == ["returns.md"]


def test_a_web_address_is_queued_and_leads_back_to_the_list(acme: Character, acme_client: Client) -> None:
    form = {"home": acme.agent.pk, "url": "https://acme.example/faq.html"}
    response = acme_client.post("/documents/upload", form)
    assert response.url == "/documents"  # type: ignore[attr-defined]
    assert [str(message) for message in get_messages(response.wsgi_request)] == ["Taken. It is being read now."]
    assert names_in(acme) == ["faq.html"]


@pytest.mark.parametrize("url", ["ftp://acme.example/x", "javascript:alert(1)", "faq"])
def test_an_address_that_cannot_be_taken_is_told(acme: Character, acme_client: Client, url: str) -> None:
    response = acme_client.post("/documents/upload", {"home": acme.agent.pk, "url": url})
    assert [str(message) for message in get_messages(response.wsgi_request)] == [
        f"{url}: An address must start with http:// or https://."
    ]
    assert names_in(acme) == []


def test_upload_to_an_agent_that_is_not_ours_is_not_found(
    acme: Character, globex: Character, globex_client: Client
) -> None:
    for agent_id in (acme.agent.pk, "nonsense", ""):
        form = {"home": agent_id, "files": files(("a.txt", b"hello there"))}
        assert globex_client.post("/documents/upload", form, headers=HTMX).status_code == 404
    assert (names_in(acme), names_in(globex)) == ([], [])


# --- The list and its rows ----------------------------------------------------------------------------------------


def test_list_filters(acme: Character, acme_client: Client) -> None:
    document_of(acme, "returns.md", status=DocumentStatus.PROCESSED)
    document_of(acme, "prices.csv", title="Price list")
    queries = ("q=PRICE", "status=processed", f"home={acme.agent.pk}", "home=nonsense&q=%00returns", "archived=1")
    found = {
        query: [document.original_filename for document in acme_client.get(f"/documents?{query}").context["page_obj"]]
        for query in queries
    }
    assert found == {
        "q=PRICE": ["prices.csv"],
        "status=processed": ["returns.md"],
        f"home={acme.agent.pk}": ["prices.csv", "returns.md"],
        "home=nonsense&q=%00returns": ["returns.md"],
        "archived=1": [],
    }


def test_list_shows_nothing_of_other_companies(acme: Character, globex_client: Client) -> None:
    document_of(acme)
    assert list(globex_client.get("/documents").context["page_obj"]) == []


def test_a_name_is_shown_as_text(acme: Character, acme_client: Client) -> None:
    document_of(acme, '<img src=x onerror="alert(1)">.md')
    body = acme_client.get("/documents").content.decode()
    assert ("<img src=x" in body, "&lt;img src=x onerror=&quot;" in body) == (False, True)


def test_a_row_asks_for_itself_again_only_while_it_is_being_read(acme: Character, acme_client: Client) -> None:
    document = document_of(acme)
    row = f'hx-get="/documents/{document.pk}/row"'
    assert row in acme_client.get(f"/documents/{document.pk}/row", headers=HTMX).content.decode()
    with tenant_context(acme.company):
        Document.objects.update(status=DocumentStatus.PROCESSED)
    assert row not in acme_client.get(f"/documents/{document.pk}/row", headers=HTMX).content.decode()


def test_a_failed_document_can_be_tried_again_from_its_row(acme: Character, acme_client: Client) -> None:
    document = document_of(acme, status=DocumentStatus.FAILED, processing_error="It is damaged.")
    assert "It is damaged." in acme_client.get("/documents").content.decode()
    response = acme_client.post(f"/documents/{document.pk}/retry", headers=HTMX)
    assert response.templates[0].name == "documents/_row.html"
    assert reloaded(acme, document).status == DocumentStatus.PENDING


def test_trying_again_what_did_not_fail_says_so_and_leaves_the_row(acme: Character, acme_client: Client) -> None:
    document = document_of(acme, status=DocumentStatus.PROCESSED)
    response = acme_client.post(f"/documents/{document.pk}/retry", headers=HTMX)
    sentence = "Only a document that failed or was cancelled can be tried again."
    assert (response.content, response["HX-Reswap"]) == (b"", "none")
    assert json.loads(response["HX-Trigger"]) == {"toast": {"text": sentence, "level": "error"}}
    plain = acme_client.post(f"/documents/{document.pk}/retry", {"next": f"/documents/{document.pk}"})
    assert plain.url == f"/documents/{document.pk}"  # type: ignore[attr-defined]
    assert [str(message) for message in get_messages(plain.wsgi_request)] == [sentence]


def test_archive_and_undo(acme: Character, acme_client: Client) -> None:
    document = document_of(acme)
    url = f"/documents/{document.pk}"
    referer = {"Referer": f"http://testserver/agents/{acme.agent.pk}?tab=documents"}
    response = acme_client.post(f"{url}/archive", headers=referer)
    assert response.url == referer["Referer"]  # type: ignore[attr-defined]
    (message,) = get_messages(response.wsgi_request)
    assert (str(message), message.extra_tags) == ("“returns.md” was archived.", f"{url}/restore")
    assert list(acme_client.get("/documents").context["page_obj"]) == []
    assert list(acme_client.get("/documents?archived=1").context["page_obj"]) == [document]
    assert f'action="{url}/restore"' in acme_client.get(url).content.decode()
    acme_client.post(f"{url}/restore")
    assert list(acme_client.get("/documents").context["page_obj"]) == [document]


@pytest.mark.parametrize("action", ["archive", "restore", "retry"])
def test_another_company_s_document_cannot_be_changed(acme: Character, globex_client: Client, action: str) -> None:
    document = document_of(acme, status=DocumentStatus.FAILED)
    assert globex_client.post(f"/documents/{document.pk}/{action}").status_code == 404
    untouched = reloaded(acme, document)
    assert (untouched.archived_at, untouched.status) == (None, DocumentStatus.FAILED)


@pytest.mark.parametrize("path", ["", "/row"])
def test_another_company_s_document_looks_like_an_unknown_one(
    acme: Character, globex_client: Client, unknown_id: uuid.UUID, path: str
) -> None:
    document = document_of(acme)
    assert globex_client.get(f"/documents/{document.pk}{path}").status_code == 404
    assert globex_client.get(f"/documents/{unknown_id}{path}").status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_list_queries(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count):
        document_of(acme, f"{number}.md")
    # Two search paths, session, person with company, count, documents, agents, datasets, languages, tags.
    with django_assert_num_queries(11):
        assert len(acme_client.get("/documents").context["page_obj"]) == count


def test_the_list_is_filtered_by_language(acme: Character, acme_client: Client) -> None:
    document_of(acme, "a.md", language="de")
    document_of(acme, "b.md", language="fr")
    page = acme_client.get("/documents", {"language": "de"})
    assert [document.original_filename for document in page.context["page_obj"]] == ["a.md"]
    assert page.context["language_choices"] == [("fr", "French"), ("de", "German")]


def test_pages_that_were_hard_to_read_are_shown(acme: Character, acme_client: Client) -> None:
    pages = [
        {"page": 1, "how": "ocr", "confidence": 95.2, "is_doubtful": False},
        {"page": 2, "how": "ocr", "confidence": 41.4, "is_doubtful": True},
        {"page": 3, "how": "left_out", "confidence": None, "is_doubtful": False},
    ]
    document = document_of(acme, "scan.pdf", status="processed", pages=pages, language="en", warnings=["Mind the gap."])
    text = " ".join(acme_client.get(f"/documents/{document.pk}").content.decode().split())
    shown = [
        "Mind the gap.",
        "<dd>English</dd>",
        "<dd>3 pages</dd>",
        "Hard to read</span> 41 % sure",
        "Not read</span>",
    ]
    assert [part for part in shown if part not in text] == []
    assert "<dt>Page 1</dt>" not in text


# --- One document -------------------------------------------------------------------------------------------------


def test_passages_are_shown_with_their_place(acme: Character, acme_client: Client) -> None:
    document = document_of(acme, status=DocumentStatus.PROCESSED, document_type="md")
    (chunk,) = chunks_of(acme, document, 1)
    body = acme_client.get(f"/documents/{document.pk}").content.decode()
    shown = [
        text in body for text in (f'id="chunk-{chunk.pk}"', "Line 1", "Returns › EU", "Passage number 0.", "Markdown")
    ]
    assert shown == [True] * 5


def test_passages_can_be_searched(acme: Character, acme_client: Client) -> None:
    document = document_of(acme, status=DocumentStatus.PROCESSED)
    chunks_of(acme, document, 3)
    url = f"/documents/{document.pk}"
    assert [chunk.index for chunk in acme_client.get(f"{url}?q=NUMBER%202").context["page_obj"]] == [2]
    assert "No passage of this document has these words." in acme_client.get(f"{url}?q=none").content.decode()


def test_a_passage_s_address_names_the_page_it_is_on(acme: Character, acme_client: Client) -> None:
    document = document_of(acme, status=DocumentStatus.PROCESSED)
    chunks = chunks_of(acme, document, CHUNKS_PER_PAGE + 2)
    with tenant_context(acme.company):
        urls = {chunk.index: chunk_url(chunk) for chunk in (chunks[CHUNKS_PER_PAGE - 1], chunks[CHUNKS_PER_PAGE])}
    assert [url.split("?")[1].split("#")[0] for url in urls.values()] == ["page=1", "page=2"]
    for index, url in urls.items():
        path, anchor = url.split("#")
        assert (index, f'id="{anchor}"' in acme_client.get(path).content.decode()) == (index, True)


@pytest.mark.parametrize("count", [1, 3])
def test_detail_queries(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    document = document_of(acme, status=DocumentStatus.PROCESSED)
    chunks_of(acme, document, count)
    with django_assert_num_queries(7):  # two search paths, session, person with company, document, count, chunks
        assert len(acme_client.get(f"/documents/{document.pk}").context["page_obj"]) == count


def test_the_address_of_the_upload_leads_to_its_form(acme_client: Client) -> None:
    answer = acme_client.get("/documents/upload")
    assert (answer.status_code, answer["Location"]) == (302, "/documents")


def test_documents_that_were_chosen_are_archived_at_once(
    acme: Character, globex: Character, acme_client: Client
) -> None:
    mine = [document_of(acme, f"{number}.txt", status="processed") for number in range(3)]
    form = {"document": [str(one.pk) for one in mine[:2]], "next": "/documents?status=processed"}
    answer = acme_client.post("/documents/archive", form)
    assert answer.url == "/documents?status=processed"  # type: ignore[attr-defined]
    assert [str(message) for message in get_messages(answer.wsgi_request)] == ["2 documents were archived."]
    assert [one.pk for one in acme_client.get("/documents").context["page_obj"]] == [mine[2].pk]
    nothing = acme_client.post("/documents/archive", {"document": ["x"]})
    told = [str(message) for message in get_messages(nothing.wsgi_request)]
    assert told[-1] == "Choose the documents that shall be archived."
    theirs = document_of(globex, "theirs.txt")
    mixed = {"document": [str(mine[2].pk), str(theirs.pk)]}
    assert acme_client.post("/documents/archive", mixed).status_code == 404
    assert [one.pk for one in acme_client.get("/documents").context["page_obj"]] == [mine[2].pk]


def test_all_passages_are_switched_off_and_on(acme: Character, acme_client: Client) -> None:
    document = document_of(acme, status="processed")
    chunks_of(acme, document, 3)
    with tenant_context(acme.company):
        record(hold_or_make_index(document.home), document, document.revision, Chunking())
    for form, live in (({}, 0), ({"on": "1"}, 3)):
        answer = acme_client.post(f"/documents/{document.pk}/switch", form)
        assert answer.url == f"/documents/{document.pk}"  # type: ignore[attr-defined]
        with tenant_context(acme.company):
            assert DocumentChunk.objects.live().filter(document=document).count() == live


def test_tags_and_metadata_are_sent_with_the_files(acme: Character, acme_client: Client) -> None:
    form = {"home": acme.agent.pk, "tags": "pumps, 2026", "metadata": "team: sales\nyear: 2026"}
    for more in ({}, {}, {"allow_duplicate": "1"}):
        acme_client.post("/documents/upload", {**form, **more, "files": files(("a.txt", b"The pump."))}, headers=HTMX)
    with tenant_context(acme.company):
        taken = [(one.tags, one.metadata) for one in Document.objects.all()]
    assert taken == 2 * [(["pumps", "2026"], {"team": "sales", "year": 2026})]
    bad = {**form, "metadata": "no pair", "files": files(("b.txt", b"Another one."))}
    answer = acme_client.post("/documents/upload", bad, headers=HTMX).content.decode()
    assert "Line 1 is no pair" in answer


def test_the_list_is_filtered_by_type(acme: Character, acme_client: Client) -> None:
    found = [document_of(acme, f"a.{kind}", document_type=kind) for kind in ("pdf", "txt")]
    for kind, expected in (("pdf", found[:1]), ("txt", found[1:]), ("csv", [])):
        page = acme_client.get("/documents", {"type": kind}).context["page_obj"]
        assert [one.pk for one in page] == [one.pk for one in expected]
