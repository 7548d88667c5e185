"""What webhooks are told of the apps below; conversations and leads are told of by `conversations`."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from agents.models import Agent, AgentVersion
from agents.signals import agent_created, agent_published, agent_updated
from documents.models import Document
from documents.signals import document_failed, document_processed
from integrations.enums import EventType
from integrations.services import publish_event


@receiver(agent_created)
def tell_of_new_agent(*, agent: Agent, **_: Any) -> None:
    publish_event(EventType.AGENT_CREATED, _agent_record(agent), agent_id=agent.pk)


@receiver(agent_updated)
def tell_of_changed_agent(*, agent: Agent, **_: Any) -> None:
    publish_event(EventType.AGENT_UPDATED, _agent_record(agent), agent_id=agent.pk)


@receiver(agent_published)
def tell_of_published_agent(*, agent: Agent, version: AgentVersion, **_: Any) -> None:
    payload = {**_agent_record(agent), "version": version.number, "note": version.note}
    publish_event(EventType.AGENT_PUBLISHED, payload, agent_id=agent.pk)


@receiver(document_processed)
def tell_of_read_document(*, document: Document, **_: Any) -> None:
    payload = {
        **_document_record(document), "status": "processed", "page_count": document.page_count,
        "chunk_count": document.chunk_count, "word_count": document.word_count, "language": document.language,
    }  # fmt: skip
    publish_event(EventType.DOCUMENT_PROCESSED, payload, agent_id=document.agent_id)


@receiver(document_failed)
def tell_of_unreadable_document(*, document: Document, error: str, error_code: str, **_: Any) -> None:
    payload = {**_document_record(document), "status": "failed", "error": error, "error_code": error_code}
    publish_event(EventType.DOCUMENT_FAILED, payload, agent_id=document.agent_id)


def _agent_record(agent: Agent) -> dict[str, Any]:
    return {
        "agent_id": agent.pk, "name": agent.name, "description": agent.description, "status": agent.status,
        "version": agent.version, "is_archived": agent.is_archived,
    }  # fmt: skip


def _document_record(document: Document) -> dict[str, Any]:
    return {
        "document_id": document.pk, "agent_id": document.agent_id, "dataset_id": document.dataset_id,
        "name": document.original_filename, "document_type": document.document_type,
    }  # fmt: skip
