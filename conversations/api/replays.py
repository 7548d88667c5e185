from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from conversations import selectors, services
from conversations.api.views import traced
from conversations.enums import ReplayInputs
from conversations.inputs import compare_inputs
from knowrithm.api.permissions import READ, WRITE
from knowrithm.api.responses import single, task_fields
from knowrithm.api.schema import TaskAcceptedSerializer, answer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet


class ReplayInput(serializers.Serializer[Any]):
    inputs = serializers.ChoiceField(
        ReplayInputs.choices,
        default=ReplayInputs.THEN.value,
        help_text="`then`: what the answer was made of. `now`: what it would be made of today.",
    )


class ChangeSerializer(serializers.Serializer[Any]):
    input = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF's name
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class PassageStateSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    document_name = serializers.CharField()
    locator_label = serializers.CharField()
    is_cited = serializers.BooleanField()
    state = serializers.ChoiceField(["same", "edited", "replaced", "removed", "switched_off", "out_of_reach"])
    sentence = serializers.CharField()


class ReplaySerializer(serializers.Serializer[Any]):
    message_id = serializers.UUIDField()
    trace_id = serializers.CharField()
    has_changed = serializers.BooleanField()
    can_replay_then = serializers.BooleanField()
    why_not = serializers.CharField(allow_null=True)
    changes = ChangeSerializer(many=True)
    passages = PassageStateSerializer(many=True)
    trace = serializers.DictField(help_text="All that was kept of the turn, besides the passages' texts.")


class ReplayViewSet(ApiViewSet):
    """An answer's inputs as they were, and the answer made again. Not for visitors."""

    access = {"retrieve": READ, "create": WRITE}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("chat", per="credential")()] if self.action == "create" else []

    @extend_schema(responses=answer("ReplayAnswer", replay=ReplaySerializer()))
    def retrieve(self, request: Request, message_id: uuid.UUID) -> Response:
        """Which inputs of an answer have changed since it was given. The id is the answer's, or its question's."""
        reply = selectors.get_answer(self.principal(), message_id)
        compared = compare_inputs(reply)
        record = {
            "message_id": reply.pk,
            "trace_id": reply.trace_id,
            "has_changed": compared.has_changed,
            "can_replay_then": not compared.why_not,
            "why_not": compared.why_not or None,
            "changes": [asdict(one) for one in compared.changes],
            "passages": [asdict(one) for one in compared.passages],
            "trace": reply.trace,
        }
        return traced(Response(single("replay", record)), reply)

    @extend_schema(
        request=ReplayInput,
        responses={202: TaskAcceptedSerializer},
    )
    def create(self, request: Request, message_id: uuid.UUID) -> Response:
        """Answer again. The task's result has `original` and `replayed`; the conversation stays as it is."""
        inputs = self.validated(ReplayInput, request)["inputs"]
        reply, task_id = services.start_replay(actor=self.principal(), message_id=message_id, inputs=inputs)
        body = {"status": "accepted", **task_fields(task_id), "message": "The question is being answered again."}
        return traced(Response(body, status=202), reply)
