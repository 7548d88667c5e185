from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django_tenants.utils import tenant_context
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents import drafts, selectors, services
from agents.api.serializers import (
    AgentInput,
    AgentRowSerializer,
    AgentSerializer,
    AgentUpdateInput,
    CloneInput,
    LLMSettingsSerializer,
    PublicAgentSerializer,
    SettingsChoices,
    SettingsTrialSerializer,
    trial_record,
)
from agents.models import Agent, LLMSettings
from agents.trial import try_chat, try_embedding
from agents.widget import WidgetFile, widget_script_file, widget_texts_file
from agents.widget_settings import check_origin
from knowrithm.api.errors import envelope
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import ADMIN_OR_WRITE_KEY, PUBLIC, READ, WRITE, declare
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import NotFoundError

AgentAnswer = answer("AgentAnswer", agent=AgentSerializer())


class AgentViewSet(ApiViewSet):
    access = {
        "create": ADMIN_OR_WRITE_KEY,
        "list": READ,
        "by_name": READ,
        "retrieve": PUBLIC,
        "update": WRITE,
        "destroy": WRITE,
        "restore": WRITE,
        "clone": WRITE,
        "embed_code": READ,
    }

    def _record(self, agent: Agent) -> dict[str, Any]:
        return dict(AgentSerializer(agent, context={"company_id": self.principal().company_id}).data)

    @extend_schema(
        request=AgentInput,
        responses={
            201: answer(
                "AgentCreated",
                message=serializers.CharField(),
                agent=AgentSerializer(),
                settings=LLMSettingsSerializer(),
            )
        },
    )
    def create(self, request: Request) -> Response:
        agent = services.create_agent(actor=self.principal(), **self.validated(AgentInput, request))
        settings = LLMSettingsSerializer(agent.llm_settings).data
        return Response(single("agent", self._record(agent), settings=settings, message="Agent created."), status=201)

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("status", str), OpenApiParameter("search", str)],
        responses=page("AgentPage", "agents", AgentSerializer(many=True)),
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        rows = selectors.agents_page(search=query.get("search", ""), status=query.get("status", ""))
        agents, pagination = paginate(request, rows, per_page=10)
        records = AgentRowSerializer(agents, many=True, context={"company_id": self.principal().company_id}).data
        return Response(listing(["agents"], records, pagination))

    @extend_schema(responses=AgentAnswer)
    def by_name(self, request: Request, name: str) -> Response:
        agent = selectors.agents_list().filter(name__iexact=name).first()
        if agent is None:
            raise NotFoundError("There is no agent of this name.")
        record = dict(AgentRowSerializer(agent, context={"company_id": self.principal().company_id}).data)
        return Response(single("agent", record))

    @extend_schema(responses=answer("PublicAgentAnswer", agent=PublicAgentSerializer()))
    def retrieve(self, request: Request, agent_id: uuid.UUID) -> Response:
        """What any visitor may know of an agent."""
        company = selectors.company_of_agent(agent_id)
        with tenant_context(company):
            agent = selectors.get_agent(agent_id)
            check_origin(agent, request.headers, is_needed=False)
            record = PublicAgentSerializer(agent, context={"company_id": company.id}).data
        return Response(single("agent", record))

    @extend_schema(request=AgentUpdateInput, responses=AgentAnswer)
    def update(self, request: Request, agent_id: uuid.UUID) -> Response:
        """Publishes at once, as a new version; with `"draft": true` it is saved beside what is published."""
        data = self.validated(AgentUpdateInput, request)
        actor, agent = self.principal(), selectors.get_agent(agent_id)
        settings: dict[str, Any] = {"settings_id": data.pop("settings_id"), "choices": data.pop("choices")}
        is_draft, note = data.pop("draft", False), data.pop("note", "")
        if is_draft:
            drafts.save_draft(actor=actor, agent=agent, changes=data, **settings)
        else:
            services.update_agent(actor=actor, agent=agent, changes=data, note=note, **settings)
        return Response(single("agent", self._record(agent), initiated_by=str(self.principal().id)))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, agent_id: uuid.UUID) -> Response:
        services.archive_agent(actor=self.principal(), agent=selectors.get_agent(agent_id))
        who = str(self.principal().id)
        return Response({"message": "Agent archived.", "agent_id": agent_id, "initiated_by": who})

    @extend_schema(request=None, responses=AgentAnswer)
    def restore(self, request: Request, agent_id: uuid.UUID) -> Response:
        agent = selectors.get_agent(agent_id, include_archived=True)
        return Response(single("agent", self._record(services.restore_agent(actor=self.principal(), agent=agent))))

    @extend_schema(request=CloneInput, responses={201: AgentAnswer})
    def clone(self, request: Request, agent_id: uuid.UUID) -> Response:
        data = self.validated(CloneInput, request)
        clone = services.clone_agent(
            actor=self.principal(),
            agent=selectors.get_agent(agent_id),
            name=data.get("name", ""),
            settings_id=data.get("llm_settings_id"),
            with_knowledge=data.get("with_knowledge", False),
        )
        return Response(single("agent", self._record(clone), clone_agent_id=clone.id), status=201)

    @extend_schema(
        responses=answer(
            "EmbedCode", **{name: serializers.CharField() for name in ("simple", "advanced", "preview_url")}
        )
    )
    def embed_code(self, request: Request, agent_id: uuid.UUID) -> Response:
        return Response(selectors.embed_code(selectors.get_agent(agent_id)))


SettingsAnswer = answer("SettingsAnswer", settings=LLMSettingsSerializer())


class SettingsViewSet(ApiViewSet):
    """Which models answer and embed."""

    access = {
        "create": ADMIN_OR_WRITE_KEY,
        "retrieve": READ,
        "update": ADMIN_OR_WRITE_KEY,
        "destroy": ADMIN_OR_WRITE_KEY,
        "of_company": READ,
        "of_agent": READ,
        "try_stored": ADMIN_OR_WRITE_KEY,
        "try_values": ADMIN_OR_WRITE_KEY,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        is_trial = self.action in {"try_stored", "try_values"}
        return [limit("model_test", per="company")()] if is_trial else []

    def _answer(self, settings: LLMSettings, **extra: Any) -> dict[str, Any]:
        return single("settings", LLMSettingsSerializer(settings).data, **extra)

    @extend_schema(request=SettingsChoices, responses={201: SettingsAnswer})
    def create(self, request: Request) -> Response:
        """With `agent_id` the settings become that agent's."""
        choices = self.validated(SettingsChoices, request)
        actor = self.principal()
        agent_id = request.data.get("agent_id") if isinstance(request.data, dict) else None
        agent = selectors.get_agent(serializers.UUIDField().run_validation(agent_id)) if agent_id else None
        if agent is not None:
            settings = services.create_settings_for(actor=actor, agent=agent, choices=choices)
        else:
            settings = services.create_settings(
                actor=actor, choices=choices, is_default=bool(choices.get("is_default"))
            )
        return Response(self._answer(settings, message="Settings created."), status=201)

    @extend_schema(responses=LLMSettingsSerializer)
    def retrieve(self, request: Request, settings_id: uuid.UUID) -> Response:
        return Response(self._answer(services.settings_by_id(settings_id)))

    @extend_schema(request=SettingsChoices, responses=SettingsAnswer)
    def update(self, request: Request, settings_id: uuid.UUID) -> Response:
        settings = services.update_settings(
            actor=self.principal(),
            settings=services.settings_by_id(settings_id),
            choices=self.validated(SettingsChoices, request),
        )
        return Response(self._answer(settings, message="Settings updated."))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, settings_id: uuid.UUID) -> Response:
        services.delete_settings(actor=self.principal(), settings=services.settings_by_id(settings_id))
        return Response({"message": "Settings deleted.", "settings_id": settings_id})

    @extend_schema(responses=answer("SettingsList", settings=LLMSettingsSerializer(many=True)))
    def of_company(self, request: Request, company_id: uuid.UUID) -> Response:
        if company_id != self.principal().company_id:
            raise NotFoundError("There is no such company.")
        rows = LLMSettingsSerializer(LLMSettings.objects.with_models(), many=True).data
        return Response(listing(["settings"], rows))

    @extend_schema(responses=LLMSettingsSerializer)
    def of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        record = LLMSettingsSerializer(selectors.get_agent(agent_id).llm_settings).data
        return Response({**record, "settings": [record]})

    @extend_schema(request=SettingsChoices, responses=SettingsTrialSerializer)
    def try_stored(self, request: Request, settings_id: uuid.UUID) -> Response:
        """Ask the model and the embedder something, with what the body overrides; nothing is saved.

        The answer is 200 also when a provider fails: `status` and `error` say so. A stored key is sent to no other
        provider or address than its own.
        """
        return self._try(request, services.settings_by_id(settings_id))

    @extend_schema(operation_id="settings_values_test", request=SettingsChoices, responses=SettingsTrialSerializer)
    def try_values(self, request: Request) -> Response:
        """The same for settings that are not saved yet; what is not given is the company's default."""
        return self._try(request, None)

    def _try(self, request: Request, settings: LLMSettings | None) -> Response:
        choices = self.validated(SettingsChoices, request)
        tried = services.settings_to_try(actor=self.principal(), settings=settings, choices=choices)
        record = trial_record(try_chat(tried), try_embedding(tried))
        return Response({"settings_id": settings.id if settings else None, **record})


class TestPageViewSet(ApiViewSet):
    """An HTML page around a snippet, to try the widget's embed code."""

    access = PUBLIC

    @extend_schema(
        request=answer("TestPageInput", body=serializers.CharField()), responses={(200, "text/html"): OpenApiTypes.STR}
    )
    def create(self, request: Request) -> HttpResponse:
        snippet = request.data.get("body", "") if isinstance(request.data, dict) else ""
        return test_page(str(snippet))


def test_page(snippet: str) -> HttpResponse:
    """The snippet as given, in a page that may do nothing on our origin.

    Anyone can post any script here, so the answer is sandboxed: an opaque origin, no cookies, no storage of ours.
    """
    response = HttpResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Widget test page</title>"
        f"<body>{snippet[:100_000]}</body></html>"
    )
    response.headers["Content-Security-Policy"] = "sandbox allow-scripts allow-forms"
    response._csp_exempt = True  # type: ignore[attr-defined]  # django-csp's own flag: the header above is stricter
    return response


@declare(PUBLIC)
def widget_script(request: HttpRequest) -> HttpResponse:
    """The widget, one file without dependencies, for any site."""
    return _widget_file(request, widget_script_file())


@declare(PUBLIC)
def widget_texts(request: HttpRequest, language: str) -> HttpResponse:
    """What the widget says in one language, which it fetches when a visitor reads that."""
    file = widget_texts_file(language)
    if file is None:
        return JsonResponse(envelope("The widget does not speak this language.", "NOT_FOUND"), status=404)
    return _widget_file(request, file)


def _widget_file(request: HttpRequest, file: WidgetFile) -> HttpResponse:
    """Packed where the browser takes it; kept by it for an hour, and for a week while we cannot be reached."""
    headers = {
        "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400, stale-if-error=604800",
        "ETag": file.etag,
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("If-None-Match", "").removeprefix("W/") == file.etag:
        return HttpResponse(status=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return HttpResponse(file.packed, content_type=file.content_type, headers=headers)
    return HttpResponse(file.body, content_type=file.content_type, headers=headers)
