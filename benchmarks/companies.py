"""Companies made by the product's own services in the database of this process, with documents already read."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from django.core.management import call_command
from django.db import transaction
from django_tenants.utils import tenant_context

from agents.models import Agent
from agents.services import create_agent
from benchmarks.corpora import Entry, Vectors
from benchmarks.platform import PASSWORD
from documents.chunks import replace_chunks
from documents.enums import DocumentStatus
from documents.models import Document
from knowrithm.llm.providers.builtin import MODEL_NAME
from tenants.services import principal_of, register_company


@contextmanager
def company_with(entries: Sequence[Entry], vectors: Vectors) -> Iterator[Agent]:
    """Inside a new company whose one agent has read `entries`. The name of a document is the id of its entry."""
    with new_company() as agent:
        _add_documents(agent, entries, vectors)
        yield agent


@contextmanager
def new_company() -> Iterator[Agent]:
    """Inside a new company whose one agent has read nothing."""
    _prepare_database()
    unique = uuid.uuid4().hex[:12]
    user = register_company(
        company_name=unique, email=f"{unique}@bench.example", password=PASSWORD, first_name="Ada", last_name="Admin"
    )
    with tenant_context(user.company):
        yield create_agent(actor=principal_of(user), name="Reader")


@cache
def _prepare_database() -> None:
    call_command("prepare", no_demo=True, stdout=io.StringIO())


@transaction.atomic
def _add_documents(agent: Agent, entries: Sequence[Entry], vectors: Vectors) -> None:
    end = 0
    for item in entries:
        start, end = end, end + len(item.chunks)
        document = Document.objects.create(
            agent=agent, original_filename=item.id, document_type="txt", status=DocumentStatus.PROCESSED
        )
        replace_chunks(document, item.chunks, [vector.tolist() for vector in vectors[start:end]], MODEL_NAME)
