"""What an agent has read: documents, their chunks, and the jobs that read them."""

from documents.models.datasets import Dataset, DatasetGrant, Home, owned_by
from documents.models.documents import (
    LEXICAL_DIMENSIONS,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    Document,
    DocumentChunk,
    DocumentQuerySet,
    IngestionJob,
    KnownEmbedding,
    LexicalTerm,
    upload_path,
)
from documents.models.indexes import EMBEDDER_FIELDS, IndexBuild, IndexedDocument, SearchIndex
from documents.models.reranking import AgentReranker
from documents.models.websites import Crawl, WebsitePage, WebsiteSource

__all__ = [
    "EMBEDDER_FIELDS",
    "LEXICAL_DIMENSIONS",
    "MAX_TAGS",
    "MAX_TAG_LENGTH",
    "AgentReranker",
    "Crawl",
    "Dataset",
    "DatasetGrant",
    "Document",
    "DocumentChunk",
    "DocumentQuerySet",
    "Home",
    "IndexBuild",
    "IndexedDocument",
    "IngestionJob",
    "KnownEmbedding",
    "LexicalTerm",
    "SearchIndex",
    "WebsitePage",
    "WebsiteSource",
    "owned_by",
    "upload_path",
]
