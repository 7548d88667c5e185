from __future__ import annotations

import json
import uuid
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request

from documents.models import Dataset, Document, DocumentChunk
from knowrithm.api.serializers import RecordSerializer

FILE_FIELDS = ("files", "file", "files[]")
NOT_METADATA = {*FILE_FIELDS, "agent_id", "dataset_id", "url", "urls", "metadata", "csrfmiddlewaretoken", "company_id"}


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
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = Document
        fields = (
            "id", "agent_id", "dataset_id", "original_filename", "filename", "title", "document_type", "type", "status",
            "progress", "stage", "seconds_left", "timings", "file_size", "page_count", "language", "language_name",
            "word_count", "chunk_count",
            "processing_error", "error_code", "warnings", "source_url", "metadata", "user_id", "created_at",
            "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields


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
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = DocumentChunk
        fields = (
            "id", "document_id", "chunk_index", "content", "text", "headings", "locator", "locator_label",
            "word_count", "embedding_model", "created_at", "deleted_at",
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
    nested = flat.get("metadata")
    extra = {name: value for name, value in flat.items() if name not in NOT_METADATA}
    return {**extra, **nested} if isinstance(nested, dict) else extra


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


class SearchInput(serializers.Serializer[Any]):
    query = serializers.CharField(max_length=4000)
    agent_id = serializers.UUIDField()
    limit = serializers.IntegerField(min_value=1, max_value=50, required=False)
    top_k = serializers.IntegerField(min_value=1, max_value=50, required=False)
    include_content = serializers.BooleanField(required=False, default=True)


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


class HandshakeInput(serializers.Serializer[Any]):
    agent_id = serializers.UUIDField()
    url = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    domain = serializers.CharField(max_length=300, required=False, allow_blank=True)  # of an older widget
    title = serializers.CharField(max_length=500, required=False, allow_blank=True)
    trigger_crawl = serializers.BooleanField(required=False)
