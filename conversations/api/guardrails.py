from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents.selectors import get_agent
from conversations import guardrails, selectors
from conversations.engine.guardrails import LONGEST_VALUE, MOST_RULES, MOST_VALUES, Action, Kind, Stage
from conversations.enums import TopicEmbedder
from conversations.models import Guardrail, GuardrailDecision
from conversations.selectors import DecisionFilter
from conversations.services import MAX_MESSAGE_LENGTH
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import ADMIN, READ
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import UnavailableError
from knowrithm.llm.base import ProviderError

STAGES = [stage.value for stage in Stage]
FILTER_PARAMETERS = [
    *(OpenApiParameter(name, uuid.UUID) for name in ("guardrail_id", "agent_id", "conversation_id", "message_id")),
    OpenApiParameter("stage", str, enum=STAGES),
    OpenApiParameter("action", str, enum=[Action.REFUSE.value, Action.MASK.value]),
    OpenApiParameter("search", str),
]


class RuleSerializer(serializers.Serializer[Any]):
    """`values` are words, RE2 expressions, example sentences, or names of what is to be found, by kind."""

    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField([kind.value for kind in Kind])
    action = serializers.ChoiceField([action.value for action in Action])
    on = serializers.ChoiceField([*STAGES, "both"], default="both")
    values = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_VALUE), required=False, max_length=MOST_VALUES
    )
    threshold = serializers.FloatField(min_value=0.01, max_value=1, required=False)


class GuardrailSerializer(RecordSerializer[Guardrail]):
    rules = RuleSerializer(many=True)

    class Meta:
        model = Guardrail
        fields = ("id", *guardrails.FIELDS, "created_at", "updated_at")
        read_only_fields = fields


class GuardrailInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    description = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    is_active = serializers.BooleanField(required=False)
    applies_to_all = serializers.BooleanField(required=False)
    agent_ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)
    api_key_ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)
    dataset_ids = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        allow_null=True,
        max_length=1000,
        help_text="The only datasets that may be used; null for all that are granted to the agent.",
    )
    allows_own_documents = serializers.BooleanField(required=False)
    rules = serializers.ListField(child=RuleSerializer(), required=False, max_length=MOST_RULES)
    refusal_text = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    link_hosts = serializers.ListField(child=serializers.CharField(max_length=253), required=False, max_length=200)
    topic_embedder = serializers.ChoiceField(TopicEmbedder.choices, required=False)


class GuardrailUpdateInput(GuardrailInput):
    name = serializers.CharField(max_length=120, required=False)


class GuardrailTrialInput(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=MAX_MESSAGE_LENGTH, trim_whitespace=False)
    stage = serializers.ChoiceField(STAGES, default=Stage.INPUT.value)
    agent_id = serializers.UUIDField(required=False, allow_null=True)


class MadeDecisionSerializer(serializers.Serializer[Any]):
    stage = serializers.CharField()
    action = serializers.CharField()
    rule = serializers.CharField()
    kind = serializers.CharField()
    count = serializers.IntegerField()
    similarity = serializers.FloatField(allow_null=True)
    excerpt = serializers.CharField()


class GuardrailTrialSerializer(serializers.Serializer[Any]):
    stage = serializers.CharField()
    text = serializers.CharField()
    is_refused = serializers.BooleanField()
    decisions = MadeDecisionSerializer(many=True)
    removed = serializers.ListField(child=serializers.CharField())


class DecisionSerializer(RecordSerializer[GuardrailDecision]):
    guardrail_id = serializers.UUIDField(allow_null=True)
    message_id = serializers.UUIDField()
    conversation_id = serializers.UUIDField(source="message.conversation_id")
    agent_id = serializers.UUIDField(source="message.conversation.agent_id")

    class Meta:
        model = GuardrailDecision
        fields = (
            "id", "guardrail_id", "guardrail_name", "message_id", "conversation_id", "agent_id", "stage", "action",
            "rule", "kind", "count", "similarity", "excerpt", "created_at",
        )  # fmt: skip
        read_only_fields = fields


GuardrailAnswer = answer("GuardrailAnswer", guardrail=GuardrailSerializer())


class GuardrailViewSet(ApiViewSet):
    """What agents and API keys may be asked and may answer, and from which datasets."""

    access = {
        "create": ADMIN,
        "list": READ,
        "retrieve": READ,
        "update": ADMIN,
        "destroy": ADMIN,
        "trial": ADMIN,
        "decisions": ADMIN,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("chat", per="credential")()] if self.action == "trial" else []

    def _answer(self, guardrail: Guardrail, **options: Any) -> Response:
        return Response(single("guardrail", GuardrailSerializer(guardrail).data), **options)

    @extend_schema(request=GuardrailInput, responses={201: GuardrailAnswer})
    def create(self, request: Request) -> Response:
        fields = self.validated(GuardrailInput, request)
        return self._answer(guardrails.create_guardrail(actor=self.principal(), fields=fields), status=201)

    @extend_schema(
        parameters=PAGE_PARAMETERS, responses=page("GuardrailPage", "guardrails", GuardrailSerializer(many=True))
    )
    def list(self, request: Request) -> Response:
        rows, pagination = paginate(request, Guardrail.objects.all(), per_page=20)
        return Response(listing(["guardrails"], GuardrailSerializer(rows, many=True).data, pagination))

    @extend_schema(responses=GuardrailAnswer)
    def retrieve(self, request: Request, guardrail_id: uuid.UUID) -> Response:
        return self._answer(selectors.get_guardrail(guardrail_id))

    @extend_schema(request=GuardrailUpdateInput, responses=GuardrailAnswer)
    def update(self, request: Request, guardrail_id: uuid.UUID) -> Response:
        """What is not sent stays; `rules` and each of the lists are replaced as a whole."""
        fields = self.validated(GuardrailUpdateInput, request)
        guardrail = selectors.get_guardrail(guardrail_id)
        return self._answer(guardrails.update_guardrail(actor=self.principal(), guardrail=guardrail, fields=fields))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, guardrail_id: uuid.UUID) -> Response:
        guardrails.delete_guardrail(actor=self.principal(), guardrail=selectors.get_guardrail(guardrail_id))
        return Response({"message": "Guardrail deleted.", "guardrail_id": guardrail_id})

    @extend_schema(
        request=GuardrailTrialInput, responses=answer("GuardrailTrialAnswer", trial=GuardrailTrialSerializer())
    )
    def trial(self, request: Request, guardrail_id: uuid.UUID) -> Response:
        """What it makes of a text as a question (`input`) or an answer (`output`). Nothing is stored."""
        data = self.validated(GuardrailTrialInput, request)
        agent = get_agent(data["agent_id"]) if data.get("agent_id") else None
        guardrail = selectors.get_guardrail(guardrail_id)
        try:
            trial = guardrails.try_guardrail(
                guardrail=guardrail, text=data["text"], stage=Stage(data["stage"]), agent=agent
            )
        except ProviderError as error:
            raise UnavailableError(str(error), code=error.code) from None
        return Response(single("trial", GuardrailTrialSerializer(trial).data))

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, *FILTER_PARAMETERS],
        responses=page("GuardrailDecisionPage", "decisions", DecisionSerializer(many=True)),
    )
    def decisions(self, request: Request) -> Response:
        """What rules have refused or masked, newest first."""
        params = request.query_params
        wanted: dict[str, Any] = {
            name: serializers.UUIDField().run_validation(given)
            for name in ("guardrail_id", "agent_id", "conversation_id", "message_id")
            if (given := params.get(name))
        }
        wanted |= {name: params.get(name, "") for name in ("stage", "action", "search")}
        found = selectors.decisions_list(DecisionFilter(**wanted))
        rows, pagination = paginate(request, found, per_page=50)
        return Response(listing(["decisions"], DecisionSerializer(rows, many=True).data, pagination))
