"""Vectors of texts, each text embedded once: what a company has had embedded before is kept in its own schema.

Kept as they come, so that a job that starts over, after a crash or a cancel, goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from numpy.typing import NDArray

from documents.models import KnownEmbedding
from knowrithm.db.schema import release_connection
from knowrithm.llm.base import Embedder, ProviderConfig
from knowrithm.llm.providers.builtin import embed_ahead
from knowrithm.llm.registry import embeds_here

BATCH = 32  # texts that are embedded, and then kept, at a time
ROWS = 1000  # that are read at a time

Vector = NDArray[np.float32]  # a list of floats takes eight times the memory


def embed(
    model: Embedder, config: ProviderConfig, texts: Sequence[str], *, on_progress: Callable[[float], None]
) -> tuple[list[Vector], int]:
    """The texts' vectors, and how many of them were known. `on_progress` is called with a share from 0 to 1."""
    keys = [_key(config, text) for text in texts]
    vectors = _known(keys)
    known = sum(key in vectors for key in keys)
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
    for batch in _pieces(list(missing), BATCH):
        on_progress(len(vectors) / (len(vectors) + len(missing)))
        release_before(config)
        made = model.embed_documents([missing.pop(key) for key in batch])
        fresh = {key: np.array(vector, dtype=np.float32) for key, vector in zip(batch, made, strict=True)}
        vectors |= fresh
        _keep(fresh)
    on_progress(1.0)
    return [vectors[key] for key in keys], known


def expect_query(config: ProviderConfig, text: str) -> None:
    """Begin to embed what will be searched for, while the rest that the search needs is read.

    With the built-in model alone: a provider is asked once, and by who waits for it.
    """
    if embeds_here(config):
        embed_ahead(text)


def release_before(config: ProviderConfig) -> None:
    """To be called before a model embeds: a provider may hang for long, and connections are few.

    The built-in model does not, and taking a connection again costs statements.
    """
    if not embeds_here(config):
        release_connection()


@transaction.atomic
def forget_oldest() -> None:
    """Keep the company's cache within its bound: what was not used for longest goes."""
    surplus = KnownEmbedding.objects.count() - settings.EMBEDDING_CACHE_SIZE
    if surplus > 0:
        oldest = KnownEmbedding.objects.order_by("used_at").select_for_update(skip_locked=True).values("pk")[:surplus]
        KnownEmbedding.objects.filter(pk__in=oldest).delete()


def _key(config: ProviderConfig, text: str) -> uuid.UUID:
    """Over all that a vector depends on; the API key is not of it."""
    model = [config.provider, config.model, config.base_url, config.dimension, dict(config.params)]
    digest = hashlib.sha256(json.dumps([model, text], sort_keys=True).encode()).digest()
    return uuid.UUID(bytes=digest[:16])


def _known(keys: Sequence[uuid.UUID]) -> dict[uuid.UUID, Vector]:
    found: dict[uuid.UUID, Vector] = {}
    for piece in _pieces(keys, ROWS):
        rows = KnownEmbedding.objects.filter(pk__in=piece)
        found |= {row.key: np.array(row.vector, dtype=np.float32) for row in rows}
        _touch(rows)
    return found


@transaction.atomic
def _touch(rows: QuerySet[KnownEmbedding]) -> None:
    """Once a day is enough. Rows that another worker is at are left to it: two would wait for each other."""
    now = timezone.now()
    stale = rows.filter(used_at__lt=now - timedelta(days=1)).select_for_update(skip_locked=True)
    KnownEmbedding.objects.filter(pk__in=stale.values("pk")).update(used_at=now)


def _keep(vectors: dict[uuid.UUID, Vector]) -> None:
    if settings.EMBEDDING_CACHE_SIZE:
        now = timezone.now()
        rows = [KnownEmbedding(key=key, vector=vectors[key], used_at=now) for key in sorted(vectors)]
        KnownEmbedding.objects.bulk_create(rows, ignore_conflicts=True)


def _pieces(keys: Sequence[uuid.UUID], size: int) -> Iterable[Sequence[uuid.UUID]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
