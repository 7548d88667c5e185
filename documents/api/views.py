from __future__ import annotations

import uuid
from dataclasses import asdict, replace
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents.selectors import get_agent
from documents import selectors, services
from documents.api.serializers import (
    FILE_FIELDS,
    BulkDeleteInput,
    ChunkInput,
    ChunkSerializer,
    DocumentDetailSerializer,
    DocumentSerializer,
    DocumentUpdateInput,
    SearchInput,
    SearchResultSerializer,
    UploadInput,
    uploaded_metadata,
    uploaded_tags,
    uploaded_urls,
)
from documents.models import Document, DocumentChunk, Home
from documents.retrieval import Filters, RetrievalSettings
from documents.trial import try_search
from knowrithm.api.errors import envelope
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import READ, WRITE
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet

DocumentAnswer = answer("DocumentAnswer", document=DocumentSerializer())
ChunkAnswer = answer("ChunkAnswer", chunk=ChunkSerializer())
DocumentPage = page("DocumentPage", "documents", DocumentSerializer(many=True))
LIST_PARAMETERS = [
    *PAGE_PARAMETERS,
    OpenApiParameter("status", str),
    OpenApiParameter("search", str),
    OpenApiParameter("document_type", str),
    OpenApiParameter("language", str, description="ISO 639-1, such as `en`."),
    OpenApiParameter("metadata", str, description="`name:value`, repeated: a document has all of them."),
    OpenApiParameter("tags", str, description="Repeated, or separated by commas: a document has all of them."),
]

HOMES_PARAMETERS = [
    *LIST_PARAMETERS,
    OpenApiParameter("agent_id", uuid.UUID),
    OpenApiParameter("dataset_id", uuid.UUID),
]


def _id_filter(request: Request, name: str) -> uuid.UUID | None:
    given = request.query_params.get(name)
    return serializers.UUIDField().run_validation(given) if given else None


def _is_set(value: Any) -> bool:
    return value is not None and serializers.BooleanField().run_validation(value)


def _tags_filter(request: Request) -> list[str]:
    """`tags`, repeated or with commas: a document has all of them."""
    return [tag.strip() for given in request.query_params.getlist("tags") for tag in given.split(",") if tag.strip()]


def _home(data: dict[str, Any]) -> Home:
    """The agent or dataset that an upload names."""
    field = serializers.UUIDField()
    if data.get("dataset_id") and not data.get("agent_id"):
        return selectors.get_dataset(field.run_validation(data["dataset_id"]))
    return get_agent(field.run_validation(data.get("agent_id") or serializers.empty))


class DocumentViewSet(ApiViewSet):
    access = {
        "upload": WRITE,
        "list": READ,
        "of_agent": READ,
        "deleted": READ,
        "retrieve": READ,
        "update": WRITE,
        "destroy": WRITE,
        "restore": WRITE,
        "retry": WRITE,
        "cancel": WRITE,
        "bulk_delete": WRITE,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("upload", per="company")()] if self.action == "upload" else []

    @extend_schema(
        request={"multipart/form-data": UploadInput, "application/json": UploadInput},
        responses={
            200: answer(
                "Uploaded",
                success=serializers.BooleanField(),
                documents=DocumentSerializer(many=True),
                documents_processed=serializers.IntegerField(),
                documents_failed=serializers.IntegerField(),
                total_submitted=serializers.IntegerField(),
                task_ids=serializers.ListField(child=serializers.UUIDField()),
                errors=serializers.ListField(child=serializers.DictField()),
                warnings=serializers.ListField(child=serializers.DictField()),
            )
        },
    )
    def upload(self, request: Request) -> Response:
        """Take files and addresses; 207 when some of them could not be taken, 400 when none could.

        For a file whose content is there already the document that has it is answered, with a warning and its id in
        `duplicate_of`; `allow_duplicate` takes it again.
        """
        data = request.data if isinstance(request.data, dict) else {}
        files: list[UploadedFile[bytes]] = [file for name in FILE_FIELDS for file in request.FILES.getlist(name)]
        outcome = services.upload(
            actor=self.principal(),
            home=_home(data),
            files=files,
            urls=uploaded_urls(request),
            metadata=uploaded_metadata(request),
            tags=uploaded_tags(request),
            allow_duplicate=_is_set(data.get("allow_duplicate")),
        )
        records = [*DocumentSerializer(outcome.documents, many=True).data]
        for known in outcome.duplicates:
            records.append({**DocumentSerializer(known.document).data, "duplicate_of": known.document.pk})
        errors = [asdict(rejected) for rejected in outcome.rejected]
        body = {
            "success": not errors,
            "documents": records,
            "documents_processed": len(records),
            "documents_failed": len(errors),
            "total_submitted": len(records) + len(errors),
            "task_ids": selectors.task_ids(outcome.documents),
            "errors": errors,
            "errors_count": len(errors),
            "error_summary": {error["name"]: error["error"] for error in errors},
            "warnings": [
                {
                    "name": known.name,
                    "warning": known.sentence,
                    "code": "DOC_DUPLICATE",
                    "duplicate_of": known.document.pk,
                }
                for known in outcome.duplicates
            ],
        }
        if not records:
            first = errors[0]
            body |= envelope(first["error"], first["code"], {error["name"]: [error["error"]] for error in errors})
        status = 400 if not records else 207 if errors else 200
        return Response(body, status=status)

    @extend_schema(
        parameters=HOMES_PARAMETERS,
        responses=DocumentPage,
    )
    def list(self, request: Request) -> Response:
        return self._page(request, _id_filter(request, "agent_id"))

    @extend_schema(parameters=LIST_PARAMETERS, responses=DocumentPage)
    def of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        return self._page(request, get_agent(agent_id).id)

    def _page(self, request: Request, agent_id: uuid.UUID | None) -> Response:
        rows, pagination = paginate(request, self._found(request, agent_id), per_page=10)
        return Response(listing(["document", "documents"], DocumentSerializer(rows, many=True).data, pagination))

    def _found(self, request: Request, agent_id: uuid.UUID | None, *, is_archived: bool = False) -> QuerySet[Document]:
        query = request.query_params
        return selectors.documents_list(
            agent_id=agent_id,
            dataset_id=_id_filter(request, "dataset_id"),
            search=query.get("search", ""),
            status=query.get("status", ""),
            document_type=query.get("document_type", ""),
            language=query.get("language", ""),
            tags=_tags_filter(request),
            metadata=[services.metadata_condition(pair) for pair in request.query_params.getlist("metadata") if pair],
            is_archived=is_archived,
        )

    @extend_schema(
        parameters=HOMES_PARAMETERS,
        responses=page("DeletedDocuments", "deleted_documents", DocumentSerializer(many=True)),
    )
    def deleted(self, request: Request) -> Response:
        found = self._found(request, _id_filter(request, "agent_id"), is_archived=True)
        rows, pagination = paginate(request, found, per_page=10)
        return Response(
            listing(["deleted_documents", "documents"], DocumentSerializer(rows, many=True).data, pagination)
        )

    @extend_schema(
        parameters=PAGE_PARAMETERS,
        responses=answer("DocumentWithChunks", document=DocumentDetailSerializer(), chunks=ChunkSerializer(many=True)),
    )
    def retrieve(self, request: Request, document_id: uuid.UUID) -> Response:
        """A document with a page of its chunks, each with its locator."""
        document = selectors.get_document(document_id)
        chunks, pagination = paginate(request, selectors.chunks_of(document), per_page=50)
        records = ChunkSerializer(chunks, many=True).data
        record = DocumentDetailSerializer(document).data
        return Response(single("document", record, chunks=records, pagination=pagination))

    @extend_schema(request=DocumentUpdateInput, responses=DocumentAnswer)
    def update(self, request: Request, document_id: uuid.UUID) -> Response:
        """Change title, tags or metadata; each that is given replaces what was there."""
        changes = self.validated(DocumentUpdateInput, request)
        document = selectors.get_document(document_id)
        services.update_document(actor=self.principal(), document=document, changes=changes)
        return Response(single("document", DocumentSerializer(document).data))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, document_id: uuid.UUID) -> Response:
        count = services.archive_document(actor=self.principal(), document=selectors.get_document(document_id))
        return Response({"message": "Document archived.", "document_id": document_id, "deleted_chunks_count": count})

    @extend_schema(request=None, responses=SentenceSerializer)
    def restore(self, request: Request, document_id: uuid.UUID) -> Response:
        document = selectors.get_document(document_id, include_archived=True)
        services.restore_document(actor=self.principal(), document=document)
        return Response(
            {"message": "Document restored.", "document_id": document.id, "filename": document.original_filename}
        )

    @extend_schema(request=None, responses=DocumentAnswer)
    def retry(self, request: Request, document_id: uuid.UUID) -> Response:
        """Read a document again that failed or was cancelled."""
        document = services.retry_document(actor=self.principal(), document=selectors.get_document(document_id))
        return Response(single("document", DocumentSerializer(document).data))

    @extend_schema(request=None, responses=DocumentAnswer)
    def cancel(self, request: Request, document_id: uuid.UUID) -> Response:
        """Stop reading a document. It ends as `cancelled` at once and can be tried again."""
        document = services.cancel_document(actor=self.principal(), document=selectors.get_document(document_id))
        return Response(single("document", DocumentSerializer(document).data))

    @extend_schema(request=BulkDeleteInput, responses=SentenceSerializer)
    def bulk_delete(self, request: Request) -> Response:
        ids = self.validated(BulkDeleteInput, request)["document_ids"]
        documents, chunks = services.archive_documents(actor=self.principal(), document_ids=ids)
        return Response(
            {
                "message": f"{documents} documents archived.",
                "deleted_documents_count": documents,
                "deleted_chunks_count": chunks,
                "deleted": documents,
            }
        )


class ChunkViewSet(ApiViewSet):
    access = {
        "deleted": READ,
        "update": WRITE,
        "undo": WRITE,
        "destroy": WRITE,
        "restore": WRITE,
        "destroy_all": WRITE,
        "restore_all": WRITE,
    }

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("document_id", uuid.UUID), OpenApiParameter("search", str)],
        responses=page("DeletedChunks", "deleted_chunks", ChunkSerializer(many=True)),
    )
    def deleted(self, request: Request) -> Response:
        archived = selectors.archived_chunks(
            document_id=_id_filter(request, "document_id"), search=request.query_params.get("search", "")
        )
        rows, pagination = paginate(request, archived, per_page=50)
        return Response(listing(["deleted_chunks", "chunks"], ChunkSerializer(rows, many=True).data, pagination))

    @extend_schema(request=ChunkInput, responses=ChunkAnswer)
    def update(self, request: Request, chunk_id: uuid.UUID) -> Response:
        """Edit its text. It is searched and quoted so from now on; reading the document again keeps the edit."""
        content = self.validated(ChunkInput, request)["content"]
        chunk = services.edit_chunk(actor=self.principal(), chunk=selectors.get_chunk(chunk_id), content=content)
        return Response(single("chunk", ChunkSerializer(chunk).data))

    @extend_schema(request=None, responses=ChunkAnswer)
    def undo(self, request: Request, chunk_id: uuid.UUID) -> Response:
        """Back to the text that was read."""
        chunk = services.undo_chunk_edit(actor=self.principal(), chunk=selectors.get_chunk(chunk_id))
        return Response(single("chunk", ChunkSerializer(chunk).data))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, chunk_id: uuid.UUID) -> Response:
        chunk = selectors.get_chunk(chunk_id)
        services.archive_chunks(actor=self.principal(), chunks=[chunk])
        return Response({"message": "Chunk archived.", "chunk_id": chunk.id, "chunk_index": chunk.index})

    @extend_schema(request=None, responses=SentenceSerializer)
    def restore(self, request: Request, chunk_id: uuid.UUID) -> Response:
        chunk = selectors.get_chunk(chunk_id)
        services.restore_chunks(actor=self.principal(), chunks=[chunk])
        return Response({"message": "Chunk restored.", "chunk_id": chunk.id, "chunk_index": chunk.index})

    @extend_schema(operation_id="document_chunk_destroy_all", responses=SentenceSerializer)
    def destroy_all(self, request: Request, document_id: uuid.UUID) -> Response:
        document = selectors.get_document(document_id)
        count = services.archive_chunks(actor=self.principal(), chunks=_all_chunks(document))
        return Response({"message": "Chunks archived.", "document_id": document.id, "deleted_chunks_count": count})

    @extend_schema(request=None, responses=SentenceSerializer)
    def restore_all(self, request: Request, document_id: uuid.UUID) -> Response:
        document = selectors.get_document(document_id, include_archived=True)
        count = services.restore_chunks(actor=self.principal(), chunks=_all_chunks(document))
        return Response({"message": "Chunks restored.", "document_id": document.id, "restored_chunks_count": count})


def _all_chunks(document: Document) -> list[DocumentChunk]:
    return list(document.chunks.select_related("document").defer("embedding", "lexical"))


class SearchViewSet(ApiViewSet):
    access = READ
    throttle_classes = (limit("search", per="credential"),)

    @extend_schema(
        request=SearchInput,
        responses=answer(
            "SearchResults",
            query=serializers.CharField(),
            results=SearchResultSerializer(many=True),
            total_results=serializers.IntegerField(),
            has_evidence=serializers.BooleanField(),
            execution_time=serializers.FloatField(),
        ),
    )
    def search(self, request: Request) -> Response:
        """The passages of one agent that bear on the query, best first; `filters` narrow it to some documents."""
        data = self.validated(SearchInput, request)
        agent = get_agent(data["agent_id"])
        found = try_search(
            agent=agent,
            question=data["query"],
            settings=replace(RetrievalSettings.of(agent), top_k=data.get("limit") or data.get("top_k") or 10),
            filters=Filters(**data.get("filters", {})),
        )
        metadata = selectors.metadata_of(passage.document_id for passage in found.passages)
        results: Any = SearchResultSerializer(found.passages, many=True, context={"metadata": metadata}).data
        if not data["include_content"]:
            results = [{name: result[name] for name in result if name not in {"content", "text"}} for result in results]
        return Response(
            {
                "query": data["query"],
                "results": results,
                "total_results": len(results),
                "has_evidence": found.has_evidence,
                "execution_time": found.seconds,
            }
        )
