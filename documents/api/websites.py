from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django_tenants.utils import tenant_context
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.selectors import company_of_agent, get_agent
from agents.widget_settings import check_origin
from documents import selectors, services
from documents.api.serializers import HandshakeInput
from documents.enums import CrawlMode, SourceStatus
from documents.models import WebsitePage, WebsiteSource
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import PUBLIC, READ, WRITE
from knowrithm.api.responses import listing, single, task_fields
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.db.schema import release_connection
from knowrithm.errors import ConflictError
from knowrithm.jobs import complete_task, create_task, read_task

# A visitor's page may ask for a crawl no sooner than this after the last one began.
VISITORS_CRAWL = timedelta(hours=1)


class WebsiteSourceSerializer(RecordSerializer[WebsiteSource]):
    agent_id = serializers.UUIDField(allow_null=True)
    dataset_id = serializers.UUIDField(allow_null=True)
    url = serializers.CharField(source="base_url")
    domain = serializers.CharField()
    status = serializers.CharField()
    crawl_config = serializers.SerializerMethodField()
    is_active = serializers.SerializerMethodField()
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = WebsiteSource
        fields = (
            "id", "agent_id", "dataset_id", "domain", "base_url", "url", "seed_urls", "allowed_paths",
            "disallowed_paths", "mode", "crawl_config", "max_depth", "max_pages", "crawl_frequency_minutes",
            "is_paused", "status", "last_crawl_status", "last_crawl_started_at", "last_crawl_completed_at",
            "next_crawl_at", "last_error", "error_code", "pages_count", "notes", "is_active", "created_at",
            "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_crawl_config(self, source: WebsiteSource) -> dict[str, Any]:
        return {
            "mode": source.mode,
            "max_pages": source.max_pages,
            "max_depth": source.max_depth,
            "include_patterns": source.allowed_paths,
            "exclude_patterns": source.disallowed_paths,
        }

    def get_is_active(self, source: WebsiteSource) -> bool:
        return not source.is_archived


class WebsitePageSerializer(RecordSerializer[WebsitePage]):
    website_source_id = serializers.UUIDField(source="source_id")
    document_id = serializers.UUIDField(allow_null=True)
    canonical_url = serializers.CharField(source="url")
    path = serializers.SerializerMethodField()
    last_crawl_status = serializers.CharField(source="status")
    last_http_status = serializers.IntegerField(source="http_status", allow_null=True)
    error = serializers.CharField(source="cause")
    error_code = serializers.CharField(source="cause_code")
    checksum = serializers.CharField(source="content_hash")
    next_crawl_at = serializers.SerializerMethodField()
    change_frequency_minutes = serializers.SerializerMethodField()
    raw_storage_path = serializers.SerializerMethodField()
    metadata = serializers.SerializerMethodField()

    class Meta:
        model = WebsitePage
        fields = (
            "id", "website_source_id", "document_id", "url", "canonical_url", "path", "title", "status",
            "last_crawl_status", "error", "error_code", "last_http_status", "last_crawled_at", "last_changed_at",
            "last_seen_at", "content_hash", "checksum", "content_length", "language", "depth", "next_crawl_at",
            "change_frequency_minutes", "raw_storage_path", "metadata", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_path(self, page: WebsitePage) -> str:
        return "/" + page.url.split("/", 3)[3]

    def get_next_crawl_at(self, page: WebsitePage) -> str | None:
        moment = page.source.next_crawl_at
        return moment.isoformat() if moment else None

    def get_change_frequency_minutes(self, page: WebsitePage) -> int | None:
        return page.source.crawl_frequency_minutes or None

    def get_raw_storage_path(self, page: WebsitePage) -> str | None:
        """Where files lie is nobody's business; the field is there for its readers."""
        return None

    def get_metadata(self, page: WebsitePage) -> dict[str, Any]:
        return {"depth": page.depth, "etag": page.etag, "last_modified": page.last_modified}


class WebsiteUpdateInput(serializers.Serializer[Any]):
    base_url = serializers.CharField(max_length=2000, required=False)
    mode = serializers.ChoiceField(CrawlMode.choices, required=False)
    seed_urls = serializers.ListField(child=serializers.CharField(max_length=2000), required=False, max_length=100)
    allowed_paths = serializers.ListField(
        child=serializers.CharField(max_length=500, allow_blank=True), required=False, max_length=100
    )
    disallowed_paths = serializers.ListField(
        child=serializers.CharField(max_length=500, allow_blank=True), required=False, max_length=100
    )
    max_pages = serializers.IntegerField(required=False)
    max_depth = serializers.IntegerField(required=False)
    crawl_frequency_minutes = serializers.IntegerField(required=False, allow_null=True)
    is_paused = serializers.BooleanField(required=False)
    notes = serializers.CharField(max_length=2000, required=False, allow_blank=True, allow_null=True)

    # What other descriptions of the API call these.
    ALIASES = {"url": "base_url", "include_patterns": "allowed_paths", "exclude_patterns": "disallowed_paths"}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            other = {self.ALIASES[name]: value for name, value in data.items() if name in self.ALIASES}
            data = {**other, **{name: value for name, value in data.items() if name not in self.ALIASES}}
        return super().to_internal_value(data)

    def validate_crawl_frequency_minutes(self, value: int | None) -> int:
        return self._number(value or 0)

    def validate_max_pages(self, value: int) -> int:
        return self._number(value)

    def validate_max_depth(self, value: int) -> int:
        return self._number(value)

    def validate_notes(self, value: str | None) -> str:
        return value or ""

    @staticmethod
    def _number(value: int) -> int:
        if not -1 <= value <= 2**31 - 1:
            raise serializers.ValidationError("This number is too large or too small.")
        return value


class WebsiteInput(WebsiteUpdateInput):
    """`url` may stand for `base_url`, `include_patterns` and `exclude_patterns` for the paths."""

    agent_id = serializers.UUIDField(required=False)
    dataset_id = serializers.UUIDField(required=False)
    base_url = serializers.CharField(max_length=2000)


class CrawlInput(serializers.Serializer[Any]):
    max_pages = serializers.IntegerField(required=False, allow_null=True)


SourceAnswer = answer("WebsiteSourceAnswer", website_source=WebsiteSourceSerializer())
SourcePage = page("WebsiteSourcePage", "website_sources", WebsiteSourceSerializer(many=True))
Accepted = answer(
    "WebsiteTask",
    status=serializers.CharField(),
    task_id=serializers.UUIDField(),
    status_url=serializers.CharField(),
    website_source_id=serializers.UUIDField(),
    message=serializers.CharField(),
)


def _accepted(task_id: str, source: WebsiteSource, message: str) -> Response:
    body = {
        "status": "queued",
        **task_fields(task_id),
        "website_source_id": source.id,
        "message": message,
    }
    return Response(body, status=202)


class WebsiteViewSet(ApiViewSet):
    """Websites whose pages an agent, or the agents of a dataset, answer from."""

    access = {
        "create": WRITE,
        "list": READ,
        "of_agent": READ,
        "deleted": READ,
        "retrieve": READ,
        "update": WRITE,
        "destroy": WRITE,
        "destroy_now": WRITE,
        "restore": WRITE,
        "crawl": WRITE,
        "crawl_now": WRITE,
        "cancel": WRITE,
        "pages": READ,
    }

    def _answer(self, source: WebsiteSource, **options: Any) -> Response:
        return Response(single("website_source", WebsiteSourceSerializer(source).data), **options)

    @extend_schema(request=WebsiteInput, responses={201: SourceAnswer})
    def create(self, request: Request) -> Response:
        """Register a website for an agent or a dataset. It is crawled when you ask, or as its schedule says."""
        data = self.validated(WebsiteInput, request)
        agent_id, dataset_id = data.pop("agent_id", None), data.pop("dataset_id", None)
        if agent_id is None and dataset_id is None:
            raise serializers.ValidationError({"agent_id": ["Name the agent that shall answer from this website."]})
        home = get_agent(agent_id) if agent_id else selectors.get_dataset(dataset_id)
        source = services.create_website_source(
            actor=self.principal(), home=home, base_url=data.pop("base_url"), options=data
        )
        return self._answer(source, status=201)

    @extend_schema(
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("agent_id", uuid.UUID),
            OpenApiParameter("status", str),
            OpenApiParameter("search", str),
        ],
        responses=SourcePage,
    )
    def list(self, request: Request) -> Response:
        given = request.query_params.get("agent_id")
        agent_id = serializers.UUIDField().run_validation(given) if given else None
        return self._page(request, agent_id)

    @extend_schema(parameters=PAGE_PARAMETERS, responses=SourcePage)
    def of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        answer = self._page(request, get_agent(agent_id).id)
        answer.data["agent_id"] = agent_id
        return answer

    def _page(self, request: Request, agent_id: uuid.UUID | None) -> Response:
        query = request.query_params
        found = selectors.website_sources_list(
            home_id=agent_id, status=query.get("status", ""), search=query.get("search", "")
        )
        rows, pagination = paginate(request, found, per_page=50)
        records = WebsiteSourceSerializer(rows, many=True).data
        return Response(listing(["website_sources", "sources"], records, pagination))

    @extend_schema(
        parameters=PAGE_PARAMETERS,
        responses=page("DeletedWebsites", "deleted_website_sources", WebsiteSourceSerializer(many=True)),
    )
    def deleted(self, request: Request) -> Response:
        rows, pagination = paginate(request, selectors.website_sources_list(is_archived=True), per_page=50)
        records = WebsiteSourceSerializer(rows, many=True).data
        return Response(listing(["deleted_website_sources", "website_sources", "sources"], records, pagination))

    @extend_schema(responses=SourceAnswer)
    def retrieve(self, request: Request, source_id: uuid.UUID) -> Response:
        return self._answer(selectors.get_website_source(source_id))

    @extend_schema(request=WebsiteUpdateInput, responses=SourceAnswer)
    def update(self, request: Request, source_id: uuid.UUID) -> Response:
        data = self.validated(WebsiteUpdateInput, request)
        source = selectors.get_website_source(source_id)
        return self._answer(services.update_website_source(actor=self.principal(), source=source, changes=data))

    @extend_schema(responses={202: Accepted})
    def destroy(self, request: Request, source_id: uuid.UUID) -> Response:
        """No agent answers from its pages any more; it can be restored."""
        source = selectors.get_website_source(source_id, include_archived=True)
        result = {"status": self._archive(source), "website_source_id": str(source.id)}
        task_id = create_task()
        complete_task(task_id, result)
        return _accepted(task_id, source, "The website is deleted.")

    @extend_schema(
        responses=answer(
            "WebsiteDeleted", status=serializers.CharField(), website_source_id=serializers.UUIDField()
        )
    )  # fmt: skip
    def destroy_now(self, request: Request, source_id: uuid.UUID) -> Response:
        """`status` is `deleted`, or `already_inactive` for one that was deleted before."""
        source = selectors.get_website_source(source_id, include_archived=True)
        return Response({"status": self._archive(source), "website_source_id": source.id})

    def _archive(self, source: WebsiteSource) -> str:
        if source.is_archived:
            return "already_inactive"
        services.archive_website_source(actor=self.principal(), source=source)
        return "deleted"

    @extend_schema(request=None, responses=SourceAnswer)
    def restore(self, request: Request, source_id: uuid.UUID) -> Response:
        source = selectors.get_website_source(source_id, include_archived=True)
        return self._answer(services.restore_website_source(actor=self.principal(), source=source))

    @extend_schema(request=CrawlInput, responses={202: Accepted})
    def crawl(self, request: Request, source_id: uuid.UUID) -> Response:
        """Read the website now; the task tells how far it is. `max_pages` holds for this crawl alone."""
        source, task_id = self._start(request, source_id)
        return _accepted(task_id, source, "The website is being crawled.")

    @extend_schema(
        request=CrawlInput,
        responses={
            200: answer(
                "WebsiteCrawled",
                status=serializers.CharField(),
                website_source_id=serializers.UUIDField(),
                processed_pages=serializers.IntegerField(),
                discovered_urls=serializers.ListField(child=serializers.CharField()),
                failures=serializers.ListField(child=serializers.DictField()),
            ),
            202: Accepted,
        },
    )
    def crawl_now(self, request: Request, source_id: uuid.UUID) -> Response:
        """Read the website and wait for the end. A crawl that takes longer goes on, and is answered with its task."""
        source, task_id = self._start(request, source_id)
        deadline = time.monotonic() + settings.SDK_WAIT_SECONDS
        release_connection()
        while time.monotonic() < deadline:
            record = read_task(task_id)
            if record is None or record.status == "failed":
                break
            if record.status == "completed":
                return Response(record.result)
            time.sleep(0.2)
        return _accepted(task_id, source, "The website is being crawled.")

    def _start(self, request: Request, source_id: uuid.UUID) -> tuple[WebsiteSource, str]:
        data = self.validated(CrawlInput, request)
        source = selectors.get_website_source(source_id)
        found = services.start_crawl(actor=self.principal(), source=source, max_pages=data.get("max_pages"))
        return source, str(found.task_id)

    @extend_schema(request=None, responses=SentenceSerializer)
    def cancel(self, request: Request, source_id: uuid.UUID) -> Response:
        """End the crawl that goes on. What it has read stays."""
        services.cancel_crawl(actor=self.principal(), source=selectors.get_website_source(source_id))
        return Response({"message": "The crawl was stopped.", "website_source_id": source_id})

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("status", str), OpenApiParameter("search", str)],
        responses=answer(
            "WebsitePages", website_source=WebsiteSourceSerializer(), pages=WebsitePageSerializer(many=True)
        ),
    )
    def pages(self, request: Request, source_id: uuid.UUID) -> Response:
        """What became of every page that was found."""
        source = selectors.get_website_source(source_id)
        query = request.query_params
        found = selectors.website_pages(source, status=query.get("status", ""), search=query.get("search", ""))
        rows, pagination = paginate(request, found, per_page=100)
        for row in rows:
            row.source = source
        body = listing(["pages"], WebsitePageSerializer(rows, many=True).data, pagination)
        return Response({**body, "website_source": WebsiteSourceSerializer(source).data})


class HandshakeViewSet(ApiViewSet):
    """The widget says on which page it is."""

    access = PUBLIC
    throttle_classes = (limit("handshake"),)

    @extend_schema(
        request=HandshakeInput,
        responses=answer(
            "Handshake",
            website_source=serializers.DictField(allow_null=True),
            website_page=serializers.DictField(allow_null=True),
            crawl_task_id=serializers.UUIDField(allow_null=True),
        ),
    )
    def create(self, request: Request) -> Response:
        """Which of the agent's websites the page belongs to, in as far as a visitor of that website may know.

        With `trigger_crawl` the website is read anew, unless that began less than an hour ago.
        """
        data = self.validated(HandshakeInput, request)
        url = data.get("url") or data.get("domain") or ""
        with tenant_context(company_of_agent(data["agent_id"])):
            check_origin(get_agent(data["agent_id"]), request.headers)
            source, found = selectors.website_of_page(data["agent_id"], url if "://" in url else f"https://{url}")
            task_id = None
            if source is not None and data.get("trigger_crawl") and _may_be_asked_for(source):
                try:
                    task_id = str(services.start_crawl(actor=None, source=source).task_id)
                except ConflictError:
                    task_id = None  # somebody else was faster
        return Response(
            {
                "website_source": source and {"id": source.id, "domain": source.domain, "base_url": source.base_url},
                "website_page": found
                and {"id": found.id, "canonical_url": found.url, "last_crawl_status": found.status},
                "crawl_task_id": task_id,
            }
        )


def _may_be_asked_for(source: WebsiteSource) -> bool:
    if source.last_crawl_status == SourceStatus.CRAWLING or source.is_paused:
        return False
    last = source.last_crawl_started_at
    return last is None or timezone.now() - last > VISITORS_CRAWL
