"""Datasets: what they hold, who answers from them, and that nobody else does."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.exceptions import SettingsInUseError
from agents.models import Agent, LLMSettings
from agents.services import create_agent, create_settings, delete_settings, update_settings
from conftest import Character
from documents.chunks import replace_chunks
from documents.enums import DocumentStatus, IndexState
from documents.indexes import index_of, outstanding
from documents.ingestion.base import Chunk
from documents.models import Dataset, Document, Home, owned_by
from documents.retrieval import retrieve
from documents.services import archive_dataset, create_dataset, update_dataset
from knowrithm.llm.registry import embedder

DATASETS = "/api/v1/dataset"


def read(home: Home, text: str) -> Document:
    """A document that has been read."""
    document = Document.objects.create(**owned_by(home), original_filename="a.txt", status=DocumentStatus.PROCESSED)
    model = embedder(LLMSettings.objects.with_models().get(pk=home.llm_settings_id).embedding_config())
    chunk = Chunk(0, text, {"type": "lines", "start": 1, "end": 1}, word_count=5)
    replace_chunks(document, [chunk], model.embed_documents([text]), model.name)
    return document


def found(agent: Agent, query: str = "How long is the warranty?") -> set[str]:
    return {passage.content for passage in retrieve(Agent.objects.with_settings().get(pk=agent.pk), query)}


def test_an_agent_finds_its_own_documents_and_the_datasets_granted_to_it(in_acme: Character) -> None:
    agent, actor = in_acme.agent, in_acme.principal
    other = create_agent(actor=actor, name="Other")
    shared = create_dataset(actor=actor, name="Terms", agent_ids=[agent.pk, other.pk])
    secret = create_dataset(actor=actor, name="Board minutes")
    read(agent, "Own: the warranty lasts one year.")
    read(shared, "Shared: the warranty lasts two years.")
    read(secret, "Secret: the warranty lasts three years.")

    assert found(agent) == {"Own: the warranty lasts one year.", "Shared: the warranty lasts two years."}
    assert found(other) == {"Shared: the warranty lasts two years."}

    update_dataset(actor=actor, dataset=shared, changes={}, agent_ids=[agent.pk])
    assert found(other) == set()
    archive_dataset(actor=actor, dataset=shared)
    assert found(agent) == {"Own: the warranty lasts one year."}


@pytest.fixture
def another_embedder(in_acme: Character) -> LLMSettings:
    """Settings whose vectors cannot be compared with the default's, though the same model makes them here."""
    settings = create_settings(actor=in_acme.principal, choices={"name": "Other"})
    LLMSettings.objects.filter(pk=settings.pk).update(embedding_dimension=383)
    settings.refresh_from_db()
    return settings


def test_datasets_of_other_models_are_searched_by_their_own(in_acme: Character, another_embedder: LLMSettings) -> None:
    agent, actor = in_acme.agent, in_acme.principal
    dataset = create_dataset(actor=actor, name="Terms", settings_id=another_embedder.pk, agent_ids=[agent.pk])
    read(agent, "Own: the warranty lasts one year.")
    read(dataset, "Shared: the warranty lasts two years.")
    passages = retrieve(Agent.objects.with_settings().get(pk=agent.pk), "How long is the warranty?")
    assert len(passages) == len({passage.chunk_id for passage in passages}) >= 2
    assert all(passage.evidence > 0.4 for passage in passages)


def test_another_embedder_reads_a_dataset_anew(in_acme: Character, another_embedder: LLMSettings) -> None:
    actor = in_acme.principal
    dataset = create_dataset(actor=actor, name="Terms")
    document = read(dataset, "The warranty lasts two years.")
    update_dataset(actor=actor, dataset=dataset, changes={}, settings_id=another_embedder.pk)
    index = index_of(dataset, IndexState.BUILDING)
    assert index is not None
    assert list(outstanding(index)) == [document]


def test_settings_of_a_dataset_are_kept_and_their_change_is_heard(in_acme: Character) -> None:
    actor = in_acme.principal
    settings = create_settings(actor=actor, choices={"name": "Other"})
    dataset = create_dataset(actor=actor, name="Terms", settings_id=settings.pk)
    document = read(dataset, "The warranty lasts two years.")
    with pytest.raises(SettingsInUseError):
        delete_settings(actor=actor, settings=settings)
    choices = {"embedding_provider": "openai", "embedding_model": "text-embedding-3-small", "embedding_api_key": "k"}
    update_settings(actor=actor, settings=settings, choices=choices)
    index = index_of(dataset, IndexState.BUILDING)
    assert index is not None
    assert list(outstanding(index)) == [document]


def test_a_document_has_one_home(in_acme: Character) -> None:
    dataset = create_dataset(actor=in_acme.principal, name="Terms")
    for homes in ({}, {"agent": in_acme.agent, "dataset": dataset}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Document.objects.create(original_filename="a.txt", **homes)


def test_the_life_of_a_dataset(acme_api: APIClient, acme: Character) -> None:
    body = {"name": " Terms ", "description": "For all.", "agent_ids": [str(acme.agent.pk)]}
    made = acme_api.post(DATASETS, body)
    assert made.status_code == 201
    record = made.json()["dataset"]
    assert (record["name"], record["agent_ids"], record["documents_count"]) == ("Terms", [str(acme.agent.pk)], 0)
    assert record["embedding_model"] == "all-MiniLM-L6-v2"
    url = f"{DATASETS}/{record['id']}"

    file = SimpleUploadedFile("pump.txt", b"The pump lifts water.")
    form = {"dataset_id": record["id"], "files": file}
    uploaded = acme_api.post("/api/v1/document/upload", form, format="multipart").json()
    [document] = uploaded["documents"]
    assert (document["agent_id"], document["dataset_id"]) == (None, record["id"])
    assert acme_api.get(url).json()["dataset"]["documents_count"] == 1
    listed = acme_api.get("/api/v1/document", {"dataset_id": record["id"]}).json()["documents"]
    assert [row["id"] for row in listed] == [document["id"]]
    assert acme_api.get("/api/v1/document", {"agent_id": str(acme.agent.pk)}).json()["documents"] == []

    assert acme_api.patch(url, {"description": "", "agent_ids": []}).json()["dataset"]["agent_ids"] == []
    assert acme_api.delete(url).status_code == 200
    assert acme_api.get(url).status_code == 404
    assert acme_api.get("/api/v1/document").json()["documents"] == []
    assert [row["id"] for row in acme_api.get(f"{DATASETS}/deleted").json()["datasets"]] == [record["id"]]
    assert acme_api.patch(f"{url}/restore").json()["dataset"]["deleted_at"] is None
    assert [row["name"] for row in acme_api.get(DATASETS, {"search": "TERM"}).json()["datasets"]] == ["Terms"]


def test_what_cannot_be_a_dataset(acme_api: APIClient, acme: Character) -> None:
    taken = acme_api.post(DATASETS, {"name": "Terms"}).json()["dataset"]
    refused = acme_api.post(DATASETS, {"name": "TERMS"})
    assert (refused.status_code, refused.json()["error_code"]) == (409, "DATASET_EXISTS")
    acme_api.delete(f"{DATASETS}/{taken['id']}")
    assert acme_api.post(DATASETS, {"name": "TERMS"}).status_code == 201
    assert acme_api.patch(f"{DATASETS}/{taken['id']}/restore").status_code == 409
    for body, status in (
        ({}, 400),
        ({"name": ""}, 400),
        ({"name": "x" * 201}, 400),
        ({"name": "New", "agent_ids": "all"}, 400),
        ({"name": "New", "agent_ids": [str(uuid.uuid4())]}, 404),
        ({"name": "New", "llm_settings_id": str(uuid.uuid4())}, 404),
    ):
        assert acme_api.post(DATASETS, body).status_code == status
    nowhere = acme_api.post("/api/v1/document/upload", {"dataset_id": str(uuid.uuid4()), "url": "https://a.example"})
    assert nowhere.status_code == 404


@pytest.fixture
def query(acme: Character) -> Callable[[], Dataset]:
    def only() -> Dataset:
        with tenant_context(acme.company):
            found: Dataset = Dataset.objects.prefetch_related("grants").get()
            return found

    return only


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_costs_the_same_however_long_it_is(
    acme_api: APIClient, in_acme: Character, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        create_dataset(actor=in_acme.principal, name=f"Set {number}", agent_ids=[in_acme.agent.pk])
    acme_api.get(DATASETS)
    with django_assert_num_queries(5):
        assert len(acme_api.get(DATASETS).json()["datasets"]) == count


def test_the_pages(acme_client: Client, acme: Character, query: Callable[..., Dataset]) -> None:
    assert b"Create your first dataset" in acme_client.get("/datasets").content
    form = {"name": "Terms", "description": "For all.", "agents": [str(acme.agent.pk)]}
    page = acme_client.post("/datasets/new", form, follow=True)
    assert page.redirect_chain
    assert b"No documents yet" in page.content
    assert acme.agent.name.encode() in page.content
    dataset = query()
    again = acme_client.post("/datasets/new", form)
    assert b"There is a dataset of this name already." in again.content

    file = SimpleUploadedFile("pump.txt", b"The pump lifts water.")
    acme_client.post("/documents/upload", {"home": str(dataset.pk), "files": file})
    assert b"pump.txt" in acme_client.get(f"/datasets/{dataset.pk}").content
    listing = acme_client.get("/documents", {"home": str(dataset.pk)}).content
    assert b"pump.txt" in listing
    assert b"Terms" in listing
    with tenant_context(acme.company):
        second = LLMSettings.objects.get(pk=dataset.llm_settings_id)
        second.pk, second.name, second.is_default, second._state.adding = uuid.uuid4(), "Second", False, True
        second.save()
    assert b"Second" in acme_client.get(f"/datasets/{dataset.pk}/edit").content
    changed = {**form, "name": "Rules", "agents": [], "settings": str(second.pk)}
    acme_client.post(f"/datasets/{dataset.pk}/edit", changed)
    assert (query().name, query().grants.count(), query().llm_settings_id) == ("Rules", 0, second.pk)
    foreign = acme_client.post(f"/datasets/{dataset.pk}/edit", {**changed, "settings": str(uuid.uuid4())})
    assert b"Select a valid choice" in foreign.content
    acme_client.post(f"/datasets/{dataset.pk}/archive")
    assert b"Rules" in acme_client.get("/datasets", {"archived": "1"}).content
    acme_client.post(f"/datasets/{dataset.pk}/restore")
    assert b"Rules" in acme_client.get("/datasets").content
