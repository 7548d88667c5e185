"""Trying an agent's retrieval, and saving what was tried."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import Settings
from rest_framework.test import APIClient

from agents.catalog.models import Provider
from agents.models import Agent, LLMSettings
from conftest import Character
from documents.chunks import replace_chunks
from documents.enums import DocumentStatus
from documents.ingestion.base import Chunk
from documents.models import Document
from documents.retrieval import RetrievalSettings, retrieve
from knowrithm.llm.registry import embedder

TRIAL = "/api/v1/search/trial"
WARRANTY = "The warranty of the X200 pump lasts two years."
TEXTS = (WARRANTY, "Our office in Lyon opens at nine.", "Spanners cost eleven euros.")


@pytest.fixture
def taught(acme: Character) -> Agent:
    with tenant_context(acme.company):
        teach(acme.agent, *TEXTS)
    return acme.agent


def teach(agent: Agent, *texts: str) -> None:
    document = Document.objects.create(agent=agent, original_filename="a.txt", status=DocumentStatus.PROCESSED)
    model = embedder(LLMSettings.objects.with_models().get(pk=agent.llm_settings_id).embedding_config())
    chunks = [Chunk(n, text, {"type": "lines", "start": n, "end": n}, word_count=9) for n, text in enumerate(texts)]
    replace_chunks(document, chunks, model.embed_documents(texts), model.name)


def tried(client: APIClient, agent: Agent, **body: Any) -> dict[str, Any]:
    answer = client.post(TRIAL, {"agent_id": str(agent.pk), "query": "How long is the warranty of the X200?", **body})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_both_legs_are_shown_with_rank_and_score(acme_api: APIClient, taught: Agent) -> None:
    found = tried(acme_api, taught)
    first, *others = found["results"]
    assert (first["content"], first["dense_rank"], first["lexical_rank"], first["score"]) == (WARRANTY, 1, 1, 1.0)
    assert {other["lexical_rank"] for other in others} == {None}
    assert sorted(other["dense_rank"] for other in others) == [2, 3]
    assert found["settings"] == {"top_k": 6, "dense_weight": 0.5, "threshold": 0.41}
    assert found["has_evidence"]
    assert found["evidence"] == first["evidence"]


def test_a_question_before_it_hides_no_more_than_in_a_conversation(acme_api: APIClient, taught: Agent) -> None:
    before = "When does the office in Lyon open, and how long is the office in Lyon open?"
    found = tried(acme_api, taught, previous=before, top_k=1)
    assert [one["content"] for one in found["results"]] == [WARRANTY]
    assert (found["searched"], found["has_evidence"]) == ("How long is the warranty of the X200?", True)


def test_each_setting_does_what_it_says(acme_api: APIClient, taught: Agent) -> None:
    assert len(tried(acme_api, taught, top_k=1)["results"]) == 1
    assert not tried(acme_api, taught, threshold=1.0)["has_evidence"]
    by_words = tried(acme_api, taught, dense_weight=0, query="spanners")["results"]
    assert [row["score"] for row in by_words] == [1.0, 0.0, 0.0]
    follow_up = tried(acme_api, taught, query="And its price?", previous="What about spanners?")
    assert follow_up["searched"] == "What about spanners?\nAnd its price?"
    assert follow_up["results"][0]["content"] == TEXTS[2]


@pytest.mark.parametrize(
    "body",
    [{"query": ""}, {"top_k": 0}, {"top_k": 21}, {"dense_weight": 1.1}, {"threshold": "much"}, {"agent_id": "x"}],
)
def test_what_cannot_be_tried(acme_api: APIClient, taught: Agent, body: dict[str, Any]) -> None:
    answer = acme_api.post(TRIAL, {"agent_id": str(taught.pk), "query": "warranty", **body})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, list(body))


def test_settings_are_saved_by_the_api_and_emptied_again(acme_api: APIClient, acme: Character, taught: Agent) -> None:
    url = f"/api/v1/agent/{taught.pk}"
    saved = acme_api.put(url, {"retrieval_top_k": 2, "retrieval_threshold": 0.6}).json()["agent"]
    assert (saved["retrieval_top_k"], saved["retrieval_dense_weight"], saved["retrieval_threshold"]) == (2, None, 0.6)
    assert tried(acme_api, taught)["settings"] == {"top_k": 2, "dense_weight": 0.5, "threshold": 0.6}
    acme_api.put(url, {"retrieval_top_k": None, "retrieval_threshold": None})
    assert tried(acme_api, taught)["settings"]["top_k"] == 6
    assert acme_api.put(url, {"retrieval_top_k": 100}).status_code == 400
    with tenant_context(acme.company):
        assert RetrievalSettings.of(Agent.objects.get(pk=taught.pk)) == RetrievalSettings()


def test_near_repeats_do_not_crowd_others_out(in_acme: Character) -> None:
    long = "The warranty of the X200 pump lasts two years and covers all parts and all labour in every country"
    teach(in_acme.agent, f"{long}.", f"{long}!", f"{long}, always.", "Spanners cost eleven euros.")
    agent = Agent.objects.with_settings().get(pk=in_acme.agent.pk)
    found = [passage.content for passage in retrieve(agent, "X200 warranty", settings=RetrievalSettings(top_k=2))]
    assert len(found) == 2
    assert found[1] == "Spanners cost eleven euros."


def test_the_page_is_limited_like_a_search(acme_client: Client, taught: Agent, settings: Settings) -> None:
    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "search": "1/day"}
    asked = {"query": "How long is the warranty of the X200?"}
    first, second = (acme_client.get(f"/agents/{taught.pk}/retrieval", asked) for _ in range(2))
    assert ("trial" in first.context, "trial" in second.context) == (True, False)
    assert second.context["form"].non_field_errors()[0].startswith("Too many requests.")


def test_the_page_tries_and_saves(acme_client: Client, acme: Character, taught: Agent) -> None:
    url = f"/agents/{taught.pk}/retrieval"
    assert b"Try a question" in acme_client.get(url).content
    page = acme_client.get(url, {"query": "How long is the warranty of the X200?"}).content.decode()
    assert "It would answer." in page
    assert WARRANTY in page
    form = {"query": "Who won the cup?", "top_k": "3", "dense_weight": "0.5", "threshold": "0.5"}
    assert b"It would say that it does not know." in acme_client.get(url, form).content
    assert b"Ensure this value is less than" in acme_client.get(url, {**form, "threshold": "7"}).content
    assert b"Ensure this value is less than" in acme_client.post(url, {**form, "threshold": "7"}).content
    assert acme_client.post(url, {**form, "query": ""}).status_code == 302
    with tenant_context(acme.company):
        agent = Agent.objects.get(pk=taught.pk)
    assert (agent.retrieval_top_k, agent.draft) == (None, {"retrieval_top_k": 3, "retrieval_threshold": 0.5})
    assert acme_client.get(url).context["form"]["top_k"].value() == 3  # the page goes on from the draft
    assert acme_client.get(f"/agents/{uuid.uuid4()}/retrieval").status_code == 404


def test_the_search_can_be_narrowed(acme_api: APIClient, acme_client: Client, acme: Character, taught: Agent) -> None:
    with tenant_context(acme.company):
        first = Document.objects.get()
        Document.objects.filter(pk=first.pk).update(document_type="txt", tags=["pumps", "2026"])
        teach(taught, "The X200 comes from Oslo.")
        second = Document.objects.exclude(pk=first.pk).get()
        Document.objects.filter(pk=second.pk).update(document_type="pdf")
    for filters, count in (
        ({"tags": ["pumps"]}, 3), ({"document_types": ["pdf"]}, 1), ({"document_ids": [str(second.pk)]}, 1),
        ({"dataset_ids": [str(uuid.uuid4())]}, 0), ({}, 4),
    ):  # fmt: skip
        assert len(tried(acme_api, taught, filters=filters)["results"]) == count
    refused = acme_api.post(TRIAL, {"agent_id": str(taught.pk), "query": "pump", "filters": {"document_ids": ["x"]}})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["filters"])

    url, asked = f"/agents/{taught.pk}/retrieval", {"query": "How long is the warranty of the X200?"}
    form = {**asked, "document": str(second.pk), "document_type": "pdf"}
    page = acme_client.get(url, form)
    assert [passage.document_id for passage in page.context["trial"].passages] == [second.pk]
    assert b"<details open>" in page.content
    tagged = acme_client.get(url, {**asked, "tags": "pumps, 2026"}).context["trial"].passages
    assert {passage.document_id for passage in tagged} == {first.pk}
    with tenant_context(acme.company):
        Document.objects.filter(pk=second.pk).update(metadata={"team": "sales", "year": 2026})
    page = acme_client.get(url, {**asked, "metadata": "team: sales\nyear: 2026"})
    assert {passage.document_id for passage in page.context["trial"].passages} == {second.pk}
    assert b"<details open>" in page.content
    none = acme_client.get(url, {**asked, "metadata": 'team: sales\nyear: "2026"'})
    assert none.context["trial"].passages == []
    assert [words in none.content for words in (b"No document fits", b"Nothing to search")] == [True, False]
    foreign = acme_client.get(url, {**asked, "document": str(uuid.uuid4())})
    assert "trial" not in foreign.context


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("sales", "Line 1 is no pair: write a name, a colon and a value, such as team: sales."),
        ("team: a\nteam: b", "Line 2 gives team a second time. Give each name once."),
        ("tags: pumps", "Write tags in the field for tags."),
        ("team: [1, 2]", "Compare with a text, a number, true, false or null."),
    ],
)
def test_pairs_that_cannot_be_compared_are_told_in_the_form(
    acme_client: Client, taught: Agent, text: str, fault: str
) -> None:
    page = acme_client.get(f"/agents/{taught.pk}/retrieval", {"query": "pump", "metadata": text})
    assert (page.status_code, page.context["form"].errors) == (200, {"metadata": [fault]})
    assert ("trial" in page.context, b"<details open>" in page.content, fault in page.content.decode()) == (
        False,
        True,
        True,
    )


def test_another_embedder_than_the_built_in_one_is_told_to_need_its_own_threshold(
    acme_client: Client, acme: Character, taught: Agent
) -> None:
    url, told = f"/agents/{taught.pk}/retrieval", b"was found with the built-in embedding model"
    assert told not in acme_client.get(url).content
    with tenant_context(acme.company):
        other = Provider.objects.exclude(protocol__in=("builtin", "huggingface")).first()
        LLMSettings.objects.filter(pk=taught.llm_settings_id).update(embedding_provider=other)
    assert told in acme_client.get(url).content
