"""What a request does to documents."""

from documents.services.archive import (
    archive_chunks,
    archive_document,
    archive_documents,
    restore_chunks,
    restore_document,
)
from documents.services.cancel import cancel_document, stop_jobs
from documents.services.datasets import archive_dataset, create_dataset, restore_dataset, update_dataset
from documents.services.uploads import (
    RejectedUpload,
    UploadOutcome,
    clean_filename,
    create_document,
    create_document_from_url,
    printable,
    queue_ingestion,
    read_again,
    retry_document,
    upload,
)

__all__ = [
    "RejectedUpload",
    "UploadOutcome",
    "archive_chunks",
    "archive_dataset",
    "archive_document",
    "archive_documents",
    "cancel_document",
    "clean_filename",
    "create_dataset",
    "create_document",
    "create_document_from_url",
    "printable",
    "queue_ingestion",
    "read_again",
    "restore_chunks",
    "restore_dataset",
    "restore_document",
    "retry_document",
    "stop_jobs",
    "update_dataset",
    "upload",
]
