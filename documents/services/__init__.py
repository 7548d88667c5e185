"""What a request does to documents."""

from documents.services.archive import (
    archive_chunks,
    archive_document,
    archive_documents,
    restore_chunks,
    restore_document,
)
from documents.services.cancel import cancel_document
from documents.services.chunking import check_chunking, set_chunking
from documents.services.cloning import clone_knowledge
from documents.services.datasets import archive_dataset, create_dataset, restore_dataset, update_dataset
from documents.services.edits import edit_chunk, undo_chunk_edit, update_document
from documents.services.indexes import build_index_for, cancel_index_build, roll_back_index, start_index_build
from documents.services.metadata import (
    MAX_METADATA,
    NOT_COMPARABLE,
    is_comparable,
    metadata_as_text,
    metadata_condition,
    metadata_filter_of_text,
    metadata_of_json,
    metadata_of_text,
)
from documents.services.preview import SplitPreview, preview_split
from documents.services.replacing import replace_document
from documents.services.reranking import remove_reranker, set_reranker
from documents.services.retention import set_document_retention
from documents.services.site_preview import preview_site
from documents.services.tags import clean_tags
from documents.services.uploads import (
    Duplicate,
    RejectedUpload,
    UploadOutcome,
    clean_filename,
    printable,
    queue_ingestion,
    retry_document,
    upload,
)
from documents.services.websites import (
    archive_website_source,
    cancel_crawl,
    create_website_source,
    restore_website_source,
    start_crawl,
    update_website_source,
)

__all__ = [
    "MAX_METADATA",
    "NOT_COMPARABLE",
    "Duplicate",
    "RejectedUpload",
    "SplitPreview",
    "UploadOutcome",
    "archive_chunks",
    "archive_dataset",
    "archive_document",
    "archive_documents",
    "archive_website_source",
    "build_index_for",
    "cancel_crawl",
    "cancel_document",
    "cancel_index_build",
    "check_chunking",
    "clean_filename",
    "clean_tags",
    "clone_knowledge",
    "create_dataset",
    "create_website_source",
    "edit_chunk",
    "is_comparable",
    "metadata_as_text",
    "metadata_condition",
    "metadata_filter_of_text",
    "metadata_of_json",
    "metadata_of_text",
    "preview_site",
    "preview_split",
    "printable",
    "queue_ingestion",
    "remove_reranker",
    "replace_document",
    "restore_chunks",
    "restore_dataset",
    "restore_document",
    "restore_website_source",
    "retry_document",
    "roll_back_index",
    "set_chunking",
    "set_document_retention",
    "set_reranker",
    "start_crawl",
    "start_index_build",
    "undo_chunk_edit",
    "update_dataset",
    "update_document",
    "update_website_source",
    "upload",
]
