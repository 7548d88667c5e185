"""The knowledge of an agent for a copy of it."""

from __future__ import annotations

from django.db import transaction

from agents.models import Agent
from documents import cloning
from documents.indexes import index_of
from documents.models import Dataset, DatasetGrant
from documents.tasks import copy_knowledge
from knowrithm.errors import InvalidInputError
from knowrithm.jobs import enqueue

AT_ONCE = 200  # chunks that a request copies itself; more are a worker's business


@transaction.atomic
def clone_knowledge(*, source: Agent, clone: Agent) -> None:
    """Grant the clone the same datasets, and copy the documents, in a worker where they are many.

    Raises `InvalidInputError` for a clone with another embedder, which could not find them.
    """
    answering = index_of(source)
    if answering is not None and answering.embedding_identity != clone.llm_settings.embedding_identity:
        text = (
            "These settings embed by another model than the one that answers now, which cannot search the copies. "
            "Clone first and change it then."
        )
        raise InvalidInputError(text, fields={"llm_settings_id": [text]})
    granted = Dataset.objects.live().filter(grants__agent=source)
    DatasetGrant.objects.bulk_create([DatasetGrant(dataset=dataset, agent=clone) for dataset in granted])
    if cloning.chunks_to_copy(source) > AT_ONCE:
        enqueue(copy_knowledge, str(source.pk), str(clone.pk))
    else:
        cloning.copy_documents(source, clone)
