"""What other rules would make of the scores of the company's leads."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.scores import try_choices
from knowrithm.api.permissions import ADMIN
from knowrithm.api.responses import single
from knowrithm.api.schema import answer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.principal import Resource
from leads.api.score_serializers import ScoreRulesInput
from leads.selectors import score_rules
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
