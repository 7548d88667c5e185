from __future__ import annotations

import uuid
from dataclasses import asdict

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents import drafts, selectors, versions
from agents.api.serializers import (
    AgentVersionRowSerializer,
    AgentVersionSerializer,
    FieldChangeSerializer,
    PublishInput,
)
from agents.models import Agent, AgentVersion
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import READ, WRITE
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import InvalidInputError

VersionAnswer = answer("AgentVersionAnswer", version=AgentVersionSerializer())


class AgentVersionViewSet(ApiViewSet):
    """What an agent was at each time it was published."""

    access = {
        "list": READ,
        "retrieve": READ,
        "compare": READ,
        "publish": WRITE,
        "rollback": WRITE,
        "discard": WRITE,
    }

    def _answer(self, version: AgentVersion, agent: Agent, status: int = 200) -> Response:
        record = AgentVersionSerializer(version, context={"published": agent.version}).data
        return Response(single("version", record), status=status)

    @extend_schema(
        parameters=PAGE_PARAMETERS, responses=page("AgentVersionPage", "versions", AgentVersionRowSerializer(many=True))
    )
    def list(self, request: Request, agent_id: uuid.UUID) -> Response:
        """Newest first. `draft` holds what was saved and not published: the changed fields with their new values."""
        agent = selectors.get_agent(agent_id)
        rows, pagination = paginate(
            request, AgentVersion.objects.filter(agent=agent).defer("configuration"), per_page=20
        )
        records = AgentVersionRowSerializer(rows, many=True, context={"published": agent.version}).data
        body = listing(["versions"], records, pagination)
        return Response({**body, "published": agent.version or None, "draft": _draft_record(agent)})

    @extend_schema(responses=VersionAnswer)
    def retrieve(self, request: Request, agent_id: uuid.UUID, number: int) -> Response:
        agent = selectors.get_agent(agent_id)
        return self._answer(versions.get_version(agent, number), agent)

    @extend_schema(
        parameters=[
            OpenApiParameter("from", str, required=True, description="A version's number, or `draft`."),
            OpenApiParameter("to", str, required=True, description="A version's number, or `draft`."),
        ],
        responses=answer("AgentComparison", changes=FieldChangeSerializer(many=True)),
    )
    def compare(self, request: Request, agent_id: uuid.UUID) -> Response:
        """The fields that differ, with both values."""
        agent = selectors.get_agent(agent_id)
        names = {side: request.query_params.get(side, "") for side in ("from", "to")}
        if missing := [side for side, which in names.items() if not which]:
            text = "Give the number of a version, or draft."
            raise InvalidInputError(text, fields={side: [text] for side in missing})
        before, after = (versions.configuration_named(agent, which) for which in names.values())
        changes = [asdict(change) for change in versions.compare(before, after)]
        return Response({**names, "changes": changes, "total": len(changes)})

    @extend_schema(request=PublishInput, responses={201: VersionAnswer})
    def publish(self, request: Request, agent_id: uuid.UUID) -> Response:
        """The draft becomes what answers."""
        agent = selectors.get_agent(agent_id)
        note = self.validated(PublishInput, request).get("note", "")
        return self._answer(drafts.publish_draft(actor=self.principal(), agent=agent, note=note), agent, status=201)

    @extend_schema(request=None, responses={201: VersionAnswer})
    def rollback(self, request: Request, agent_id: uuid.UUID, number: int) -> Response:
        """Publish this version's configuration again, as a new version."""
        agent = selectors.get_agent(agent_id)
        version = versions.get_version(agent, number)
        made = drafts.roll_back_agent(actor=self.principal(), agent=agent, version=version)
        return self._answer(made, agent, status=201)

    @extend_schema(responses=SentenceSerializer)
    def discard(self, request: Request, agent_id: uuid.UUID) -> Response:
        drafts.discard_draft(actor=self.principal(), agent=selectors.get_agent(agent_id))
        return Response({"message": "Draft discarded.", "agent_id": agent_id})


def _draft_record(agent: Agent) -> dict[str, object] | None:
    """What the draft changes, with its new values."""
    if not agent.has_draft:
        return None
    shown = versions.drafted(agent)
    changes = versions.compare(versions.configuration_of(agent), versions.configuration_of(shown))
    return {change.field: change.after for change in changes}
