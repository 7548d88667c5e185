from __future__ import annotations

import json
import uuid
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request

from documents.enums import DocumentType
from documents.ingestion.base import Chunk
from documents.ingestion.locators import describe
from documents.models import Dataset, Document, DocumentChunk
from documents.retrieval import Passage
from documents.services import MAX_METADATA, NOT_COMPARABLE, is_comparable, metadata_of_json
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.validators import short_json

FILE_FIELDS = ("files", "file", "files[]")
NOT_METADATA = {
    *FILE_FIELDS, "agent_id", "dataset_id", "url", "urls", "metadata", "csrfmiddlewaretoken", "company_id", "tags",
    "allow_duplicate",
}  # fmt: skip


class DocumentSerializer(RecordSerializer[Document]):
    agent_id = serializers.UUIDField(allow_null=True)
    dataset_id = serializers.UUIDField(allow_null=True)
    filename = serializers.CharField(source="original_filename")
    title = serializers.CharField(source="name")
    document_type = serializers.CharField()  # empty until it is known: of an address that is still to be fetched
    type = serializers.CharField(source="document_type")
    progress = serializers.IntegerField()
    stage = serializers.CharField()
    seconds_left = serializers.IntegerField(allow_null=True)
    timings = serializers.DictField(child=serializers.FloatField())
    language_name = serializers.CharField()
    metadata = serializers.SerializerMethodField()
    replaces_id = serializers.UUIDField(allow_null=True)
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = Document
        fields = (
            "id", "agent_id", "dataset_id", "original_filename", "filename", "title", "document_type", "type", "status",
            "progress", "stage", "seconds_left", "timings", "file_size", "page_count", "language", "language_name",
            "word_count", "chunk_count", "processing_error", "error_code", "warnings", "source_url", "metadata", "tags",
            "version", "replaces_id", "user_id", "created_at", "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_metadata(self, document: Document) -> dict[str, Any]:
        return document.told_metadata


class PageRecordSerializer(serializers.Serializer[Any]):
    """A page that was recognised by OCR or left out; a page that is not listed has a text layer."""

    page = serializers.IntegerField()
    how = serializers.ChoiceField(choices=["ocr", "empty", "left_out"])
    confidence = serializers.FloatField(allow_null=True, help_text="The mean of the words', 0 to 100.")
    is_doubtful = serializers.BooleanField()


class DocumentDetailSerializer(DocumentSerializer):
    pages = PageRecordSerializer(many=True)

    class Meta(DocumentSerializer.Meta):
        fields = (*DocumentSerializer.Meta.fields, "pages")  # type: ignore[assignment]  # longer than the base's
        read_only_fields = fields  # type: ignore[assignment]  # as above


class ChunkSerializer(RecordSerializer[DocumentChunk]):
    document_id = serializers.UUIDField()
    chunk_index = serializers.IntegerField(source="index")
    text = serializers.CharField(source="content")
    locator = serializers.DictField()
    locator_label = serializers.CharField()
    is_edited = serializers.BooleanField()
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = DocumentChunk
        fields = (
            "id", "document_id", "chunk_index", "content", "text", "headings", "locator", "locator_label",
            "word_count", "embedding_model", "is_edited", "original_content", "created_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields


class UploadInput(serializers.Serializer[Any]):
    """Multipart: `files` (repeated) and `agent_id` or `dataset_id`. JSON: one of these with `url` or `urls`.

    Other keys are metadata.
    """

    agent_id = serializers.UUIDField(required=False)
    dataset_id = serializers.UUIDField(required=False)
    files = serializers.ListField(child=serializers.FileField(), required=False)
    url = serializers.CharField(required=False)
    urls = serializers.ListField(child=serializers.CharField(), required=False)
    metadata = serializers.DictField(required=False, help_text="In a form, the text of a JSON object.")
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    allow_duplicate = serializers.BooleanField(required=False)


def uploaded_urls(request: Request) -> list[str]:
    """`url` and `urls`, which arrive as a repeated field, a JSON array in a text, or a comma-separated text."""
    data = request.data
    given: list[Any] = []
    for name in ("url", "urls"):
        if isinstance(data, QueryDict):
            given += data.getlist(name)
        elif isinstance(data, dict) and (value := data.get(name)):
            given += value if isinstance(value, list) else [value]
    urls: list[str] = []
    for value in given:
        urls += _split_urls(str(value))
    return list(dict.fromkeys(url for url in (url.strip() for url in urls) if url))


def _split_urls(value: str) -> list[str]:
    if value.lstrip().startswith("["):
        try:
            return [str(url) for url in json.loads(value)]
        except (ValueError, RecursionError):
            return [value]
    return value.split(",") if value.count("://") > 1 else [value]


def uploaded_metadata(request: Request) -> dict[str, Any]:
    data = request.data
    if isinstance(data, QueryDict):
        pairs = {name: data.getlist(name) for name in data}
        flat: dict[str, Any] = {name: values[0] if len(values) == 1 else values for name, values in pairs.items()}
    else:
        flat = dict(data) if isinstance(data, dict) else {}
    extra = {name: value for name, value in flat.items() if name not in NOT_METADATA and name not in request.FILES}
    nested = flat.get("metadata")
    return extra if nested in (None, "") else extra | metadata_of_json(nested)


def uploaded_tags(request: Request) -> list[str]:
    """`tags`, which arrive as a list, a repeated field, or a text with commas."""
    data = request.data
    given: Any = data.getlist("tags") if isinstance(data, QueryDict) else None
    if given is None:
        given = data.get("tags") or [] if isinstance(data, dict) else []
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(value, str) for value in values):
        raise serializers.ValidationError({"tags": ["Give a list of texts."]})
    return values if len(values) > 1 else [tag for value in values for tag in value.split(",")]


class DocumentUpdateInput(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=300, required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    metadata = serializers.DictField(required=False)

    def validate_metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(metadata)) > MAX_METADATA:
            raise serializers.ValidationError(f"Metadata may have at most {MAX_METADATA:,} characters of JSON.")
        return {name: value for name, value in metadata.items() if name != "tags"}


class ReplaceInput(serializers.Serializer[Any]):
    file = serializers.FileField(required=False, allow_empty_file=True)
    url = serializers.CharField(required=False, max_length=2000)
    takes_name = serializers.BooleanField(
        default=False, help_text="Name the document after the new file, instead of keeping its name and title."
    )
    allow_duplicate = serializers.BooleanField(
        default=False, help_text="Take the same file too, to have it read again."
    )


class ChunkInput(serializers.Serializer[Any]):
    content = serializers.CharField(trim_whitespace=False)


class ChunkingSerializer(serializers.Serializer[Any]):
    chunk_size = serializers.IntegerField()
    chunk_overlap = serializers.IntegerField()
    documents_read_again = serializers.IntegerField(required=False)


class ChunkingInput(serializers.Serializer[Any]):
    chunk_size = serializers.IntegerField()
    chunk_overlap = serializers.IntegerField()
    read_again = serializers.BooleanField(required=False, default=False)


class PreviewInput(serializers.Serializer[Any]):
    """A file or a text, and how to cut it."""

    file = serializers.FileField(required=False, allow_empty_file=True)
    text = serializers.CharField(required=False, trim_whitespace=False)
    agent_id = serializers.UUIDField(required=False)
    dataset_id = serializers.UUIDField(required=False)
    chunk_size = serializers.IntegerField(required=False)
    chunk_overlap = serializers.IntegerField(required=False)


class PreviewChunkSerializer(serializers.Serializer[Any]):
    chunk_index = serializers.IntegerField(source="index")
    content = serializers.CharField(source="text")
    headings = serializers.ListField(child=serializers.CharField())
    locator = serializers.DictField()
    locator_label = serializers.SerializerMethodField()
    word_count = serializers.IntegerField()

    def get_locator_label(self, chunk: Chunk) -> str:
        return describe(chunk.locator)


class BulkDeleteInput(serializers.Serializer[Any]):
    document_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=1000)


class DatasetSerializer(RecordSerializer[Dataset]):
    embedding_model = serializers.CharField(source="llm_settings.embedding_model.name")
    agent_ids = serializers.SerializerMethodField()
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = Dataset
        fields = (
            "id", "name", "description", "llm_settings_id", "embedding_model", "agent_ids", "documents_count",
            "created_at", "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_agent_ids(self, dataset: Dataset) -> list[uuid.UUID]:
        """The agents that may answer from it."""
        return [grant.agent_id for grant in dataset.grants.all()]


class DatasetInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    llm_settings_id = serializers.UUIDField(required=False, allow_null=True)
    agent_ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)


class DatasetUpdateInput(DatasetInput):
    name = serializers.CharField(max_length=200, required=False)


class FiltersInput(serializers.Serializer[Any]):
    """A document has all the tags, is one of each list, and has each pair of the metadata."""

    tags = serializers.ListField(child=serializers.CharField(), required=False, max_length=50)
    document_ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)
    document_types = serializers.ListField(
        child=serializers.ChoiceField(DocumentType.choices), required=False, max_length=50
    )
    dataset_ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)
    metadata = serializers.DictField(required=False, validators=[short_json])

    def validate_metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        if not all(map(is_comparable, metadata.values())):
            raise serializers.ValidationError(NOT_COMPARABLE)
        return metadata


class SearchInput(serializers.Serializer[Any]):
    query = serializers.CharField(max_length=4000)
    agent_id = serializers.UUIDField()
    limit = serializers.IntegerField(min_value=1, max_value=50, required=False)
    top_k = serializers.IntegerField(min_value=1, max_value=50, required=False)
    include_content = serializers.BooleanField(required=False, default=True)
    filters = FiltersInput(required=False)


class SearchResultSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="chunk_id")
    chunk_id = serializers.UUIDField()
    document_id = serializers.UUIDField()
    document_name = serializers.CharField()
    source_url = serializers.CharField()
    content = serializers.CharField()
    text = serializers.CharField(source="content")
    headings = serializers.ListField(child=serializers.CharField())
    locator = serializers.DictField()
    locator_label = serializers.CharField()
    score = serializers.FloatField()
    dense_score = serializers.FloatField(source="dense")
    lexical_score = serializers.FloatField(source="lexical")
    evidence = serializers.FloatField()
    metadata = serializers.SerializerMethodField()

    def get_metadata(self, passage: Passage) -> dict[str, Any]:
        """Of its document, with the tags."""
        found: dict[str, Any] = self.context["metadata"].get(passage.document_id, {})
        return found


class HandshakeInput(serializers.Serializer[Any]):
    agent_id = serializers.UUIDField()
    url = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    domain = serializers.CharField(max_length=300, required=False, allow_blank=True)  # of an older widget
    title = serializers.CharField(max_length=500, required=False, allow_blank=True)
    trigger_crawl = serializers.BooleanField(required=False)
