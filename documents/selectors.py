from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import CharField, Func, Q, QuerySet

from agents.models import MODEL_RELATIONS, Agent
from agents.selectors import agents_list
from documents.enums import DocumentStatus
from documents.ingestion.language import LANGUAGES
from documents.ingestion.web.addresses import canonical, site_of
from documents.models import (
    AgentReranker,
    Crawl,
    Dataset,
    Document,
    DocumentChunk,
    Home,
    IngestionJob,
    WebsitePage,
    WebsiteSource,
    owned_by,
)
from knowrithm.db.compiled import ANY_ID, CompiledQuery
from knowrithm.errors import NotFoundError


def documents_list(
    *,
    search: str = "",
    status: str = "",
    agent_id: uuid.UUID | None = None,
    dataset_id: uuid.UUID | None = None,
    home_id: uuid.UUID | None = None,
    document_type: str = "",
    language: str = "",
    tags: Sequence[str] = (),
    metadata: Sequence[tuple[str, Sequence[Any]]] = (),
    is_archived: bool = False,
) -> QuerySet[Document]:
    """`metadata` are names with the values of which a document has one; without values it has the name."""
    rows = Document.objects.with_progress()
    rows = rows.archived() if is_archived else rows.live().filter(dataset__archived_at=None)
    if status:
        rows = rows.filter(status=status)
    if agent_id:
        rows = rows.filter(agent_id=agent_id)
    if home_id:
        rows = rows.filter(Q(agent_id=home_id) | Q(dataset_id=home_id))
    if dataset_id:
        rows = rows.filter(dataset_id=dataset_id)
    if document_type:
        rows = rows.filter(document_type=document_type)
    if language:
        rows = rows.filter(language=language)
    if tags:
        rows = rows.filter(tags__contains=list(tags))
    for name, values in metadata:
        fits = Q(metadata__has_key=name) if not values else Q()
        for value in values:
            fits |= Q(metadata__contains={name: value})
        rows = rows.filter(fits)
    if search:
        rows = rows.filter(Q(original_filename__icontains=search) | Q(title__icontains=search))
    found: QuerySet[Document] = rows.defer("pages")  # a long scan has many
    return found


def documents_with_content(home: Home, sha256: str) -> QuerySet[Document]:
    """What the agent or dataset has of a file, the oldest first. What could not be read, or was cancelled, is none."""
    rows: QuerySet[Document] = Document.objects.with_progress().live().filter(**owned_by(home), sha256=sha256)
    return rows.exclude(status__in=(DocumentStatus.FAILED, DocumentStatus.CANCELLED)).order_by("created_at")


def languages_found() -> list[tuple[str, str]]:
    """Codes and names of the languages that the company's documents are in, by name."""
    codes = Document.objects.live().exclude(language="").order_by().values_list("language", flat=True).distinct()
    return sorted(((code, LANGUAGES.get(code, code)) for code in codes), key=lambda pair: pair[1])


def get_document(document_id: uuid.UUID, *, include_archived: bool = False) -> Document:
    """A document of the current company. Raises `NotFoundError`, also for another company's."""
    rows = Document.objects.with_progress()
    document: Document | None = (rows if include_archived else rows.live()).filter(pk=document_id).first()
    if document is None:
        raise NotFoundError("There is no such document.")
    return document


def datasets_list(*, search: str = "", is_archived: bool = False) -> QuerySet[Dataset]:
    rows = Dataset.objects.select_related("llm_settings__embedding_model").prefetch_related("grants__agent")
    rows = rows.archived().order_by("-archived_at") if is_archived else rows.live()
    found: QuerySet[Dataset] = rows.filter(name__icontains=search) if search else rows
    return found


def get_dataset(dataset_id: uuid.UUID, *, include_archived: bool = False) -> Dataset:
    """A dataset of the current company. Raises `NotFoundError`, also for another company's."""
    rows = Dataset.objects.select_related(*(f"llm_settings__{name}" for name in MODEL_RELATIONS))
    dataset: Dataset | None = (rows if include_archived else rows.live()).filter(pk=dataset_id).first()
    if dataset is None:
        raise NotFoundError("There is no such dataset.")
    return dataset


def get_home(home_id: uuid.UUID) -> Home:
    """The agent or the dataset of this id. Raises `NotFoundError`."""
    agent: Agent | None = Agent.objects.live().filter(pk=home_id).first()
    return agent or get_dataset(home_id)


def homes() -> list[tuple[str, list[Home]]]:
    """Where a document can be put: the agents, then the datasets."""
    groups: list[tuple[str, list[Home]]] = [
        ("Agents", list(agents_list().order_by("name"))),
        ("Datasets", list(Dataset.objects.live())),
    ]
    return [(label, rows) for label, rows in groups if rows]


def task_ids(documents: Sequence[Document]) -> list[uuid.UUID]:
    """Of the jobs that read these documents, to be polled at `/tasks/{id}/status`."""
    jobs = IngestionJob.objects.filter(document__in=[document.pk for document in documents])
    return list(jobs.values_list("task_id", flat=True))


def datasets_of(agent_id: uuid.UUID) -> list[Dataset]:
    """The datasets granted to an agent."""
    return list(Dataset.objects.live().filter(grants__agent_id=agent_id))


def latest_documents_of(agent_id: uuid.UUID, datasets: Sequence[Dataset], limit: int) -> list[Document]:
    """Of what the agent answers from, its own and that of the datasets, the latest."""
    rows = Document.objects.live().filter(Q(agent_id=agent_id) | Q(dataset__in=datasets))
    rows = rows.filter(status=DocumentStatus.PROCESSED).only("title", "original_filename")
    return list(rows.order_by("-created_at")[:limit])


def get_chunk(chunk_id: uuid.UUID) -> DocumentChunk:
    rows = DocumentChunk.objects.select_related("document__agent", "document__dataset")
    chunk: DocumentChunk | None = rows.filter(pk=chunk_id).first()
    if chunk is None:
        raise NotFoundError("There is no such chunk.")
    return chunk


def chunks_of(document: Document, *, search: str = "", include_archived: bool = False) -> QuerySet[DocumentChunk]:
    rows = document.chunks.all() if include_archived else document.chunks.live()
    rows = rows.defer("embedding", "lexical").order_by("index")
    found: QuerySet[DocumentChunk] = rows.filter(content__icontains=search) if search else rows
    return found


def website_sources_list(
    *, search: str = "", status: str = "", home_id: uuid.UUID | None = None, is_archived: bool = False
) -> QuerySet[WebsiteSource]:
    rows = WebsiteSource.objects.select_related("agent", "dataset")
    rows = rows.archived().order_by("-archived_at") if is_archived else rows.live()
    if status:
        rows = rows.filter(last_crawl_status=status)
    if home_id:
        rows = rows.filter(Q(agent_id=home_id) | Q(dataset_id=home_id))
    if search:
        rows = rows.filter(base_url__icontains=search)
    found: QuerySet[WebsiteSource] = rows
    return found


def get_website_source(source_id: uuid.UUID, *, include_archived: bool = False) -> WebsiteSource:
    """A website of the current company. Raises `NotFoundError`, also for another company's."""
    rows = WebsiteSource.objects.select_related("agent", "dataset")
    source: WebsiteSource | None = (rows if include_archived else rows.live()).filter(pk=source_id).first()
    if source is None:
        raise NotFoundError("There is no such website.")
    return source


def website_pages(source: WebsiteSource, *, search: str = "", status: str = "") -> QuerySet[WebsitePage]:
    rows = source.pages.defer("links").select_related("document")
    if status:
        rows = rows.filter(status=status)
    if search:
        rows = rows.filter(Q(url__icontains=search) | Q(title__icontains=search))
    return rows


def latest_crawl(source: WebsiteSource) -> Crawl | None:
    return source.crawls.order_by("-created_at").first()


def website_of_page(agent_id: uuid.UUID, url: str) -> tuple[WebsiteSource | None, WebsitePage | None]:
    """The website that an address belongs to, of the agent or its datasets, and the page that was crawled there."""
    address = canonical(url)
    if address is None:
        return None, None
    datasets = Dataset.objects.live().filter(grants__agent_id=agent_id)
    sources = [
        source
        for source in WebsiteSource.objects.live().filter(Q(agent_id=agent_id) | Q(dataset__in=datasets))[:1000]
        if site_of(source.base_url) == site_of(address)
    ]
    page = (
        WebsitePage.objects.defer("links")
        .filter(source__in=sources, url=address)
        .select_related("source")
        .order_by("created_at")
        .first()
    )
    if page is not None:
        return page.source, page
    # The one that begins nearest to the page.
    source = max(sources, key=lambda one: (address.startswith(one.base_url), len(one.base_url)), default=None)
    return source, None


def archived_chunks(*, document_id: uuid.UUID | None = None, search: str = "") -> QuerySet[DocumentChunk]:
    rows = DocumentChunk.objects.archived().defer("embedding", "lexical").order_by("-archived_at", "pk")
    if document_id:
        rows = rows.filter(document_id=document_id)
    found: QuerySet[DocumentChunk] = rows.filter(content__icontains=search) if search else rows
    return found


def metadata_in_use(limit: int) -> list[tuple[str, Any]]:
    """Pairs of all live documents, by name: those with a value that fits on a line."""
    query = """
        SELECT DISTINCT pair.key, pair.value FROM documents_document AS document,
          jsonb_each(CASE jsonb_typeof(document.metadata) WHEN 'object' THEN document.metadata ELSE '{}' END) AS pair
        WHERE document.archived_at IS NULL AND jsonb_typeof(pair.value) IN ('string', 'number', 'boolean')
          AND length(pair.value::text) <= 100
        ORDER BY pair.key, pair.value LIMIT %s
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [limit])
        return [(name, json.loads(value)) for name, value in cursor.fetchall()]


def tags_in_use() -> list[str]:
    """The tags of all live documents, by name."""
    rows = Document.objects.live().values_list(Func("tags", function="unnest", output_field=CharField()), flat=True)
    return sorted(rows.order_by().distinct(), key=str.casefold)


_RERANKER: CompiledQuery[AgentReranker] = CompiledQuery(lambda: AgentReranker.objects.filter(agent=ANY_ID))


def get_reranker_of(agent_id: uuid.UUID) -> AgentReranker | None:
    return next(iter(_RERANKER.of(agent_id)), None)


def get_reranker(agent: Agent) -> AgentReranker:
    reranker = get_reranker_of(agent.pk)
    if reranker is None:
        raise NotFoundError("This agent has no reranker.")
    return reranker


def metadata_of(document_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    """The metadata of documents, with their tags, by id."""
    rows = Document.objects.only("metadata", "tags").filter(pk__in=set(document_ids))
    return {document.pk: document.told_metadata for document in rows}
