"""How promising a lead is and why, and what other rules would make of the scores of the company's leads."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.scores import score_of, try_choices
from knowrithm.api.permissions import ADMIN, READ
from knowrithm.api.responses import single
from knowrithm.api.schema import answer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.principal import Resource
from leads.api.score_serializers import ScoreRulesInput
from leads.scoring import Reason
from leads.selectors import get_lead, score_rules
from leads.services import changed_choices

Moved = answer(
    "ScoreMove",
    lead_id=serializers.UUIDField(),
    full_name=serializers.CharField(),
    before=serializers.IntegerField(),
    after=serializers.IntegerField(),
)
PreviewRecord = answer(
    "ScorePreview",
    looked_at=serializers.IntegerField(),
    up=serializers.IntegerField(),
    down=serializers.IntegerField(),
    same=serializers.IntegerField(),
    moves=serializers.ListField(child=Moved),
)


ReasonRecord = answer(
    "ScoreReason",
    text=serializers.CharField(),
    points=serializers.IntegerField(),
    message_id=serializers.UUIDField(allow_null=True),
    conversation_id=serializers.UUIDField(allow_null=True),
    excerpt=serializers.CharField(),
)


class ScoreCriterionSerializer(serializers.Serializer[object]):
    name = serializers.CharField()
    points = serializers.IntegerField()
    weight = serializers.IntegerField()
    reasons = serializers.ListField(child=ReasonRecord)


ScoreRecord = answer(
    "LeadScore",
    lead_id=serializers.UUIDField(),
    points=serializers.IntegerField(),
    criteria=ScoreCriterionSerializer(many=True),
)


class LeadScoreViewSet(ApiViewSet):
    access = READ
    resource = Resource.LEADS

    @extend_schema(responses=answer("LeadScoreAnswer", score=ScoreRecord))
    def retrieve(self, request: Request, lead_id: uuid.UUID) -> Response:
        """Worked out anew, with the reason for every point and the message that proves it.

        Where a fact of the lead's record is the proof, there is no message. Of a lead that was merged into another it
        is that other's score.
        """
        found = get_lead(lead_id)
        lead = found.merged_into or found
        score = score_of(lead, list(lead.merged.all()))
        criteria = [
            {
                "name": criterion.name,
                "points": criterion.points,
                "weight": criterion.weight,
                "reasons": [_reason(one) for one in criterion.reasons],
            }
            for criterion in score.criteria
        ]
        return Response(single("score", {"lead_id": lead.pk, "points": score.points, "criteria": criteria}))


def _reason(reason: Reason) -> dict[str, object]:
    said = reason.message
    return {
        "text": reason.text,
        "points": reason.points,
        "message_id": said.id if said else None,
        "conversation_id": said.conversation_id if said else None,
        "excerpt": reason.excerpt,
    }


class ScorePreviewViewSet(ApiViewSet):
    access = ADMIN
    resource = Resource.LEADS
    throttle_classes = (limit("search", per="credential"),)

    @extend_schema(request=ScoreRulesInput, responses=answer("ScorePreviewAnswer", preview=PreviewRecord))
    def preview(self, request: Request) -> Response:
        """How the scores of the leads that were last seen would move. Nothing is stored."""
        rules = score_rules()
        wanted = changed_choices(rules, self.validated(ScoreRulesInput, request))
        trial = try_choices(rules.choices, wanted)
        moves = [
            {"lead_id": move.lead.pk, "full_name": move.lead.full_name, "before": move.before, "after": move.after}
            for move in trial.moves
        ]
        record = {"looked_at": trial.looked_at, "up": trial.up, "down": trial.down, "same": trial.same, "moves": moves}
        return Response(single("preview", record))
