"""How a company scores its leads. What other rules would change: conversations.api.scores."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import ADMIN, READ
from knowrithm.api.responses import single, task_fields
from knowrithm.api.schema import answer
from knowrithm.api.views import ApiViewSet
from leads import selectors, services
from leads.api.score_serializers import ScoreRulesInput, ScoreRulesSerializer, rules_record
from leads.models import ScoreRules

RulesAnswer = answer("ScoreRulesAnswer", score_rules=ScoreRulesSerializer())
RulesSaved = answer(
    "ScoreRulesSaved",
    score_rules=ScoreRulesSerializer(),
    message=serializers.CharField(),
    task_id=serializers.UUIDField(allow_null=True),
    status_url=serializers.CharField(allow_null=True),
)


class ScoreRulesViewSet(ApiViewSet):
    access = {"retrieve": READ, "update": ADMIN, "restore": ADMIN}

    @extend_schema(responses=RulesAnswer)
    def retrieve(self, request: Request) -> Response:
        rules = selectors.score_rules()
        return Response(single("score_rules", rules_record(rules, selectors.scoring_state(rules))))

    @extend_schema(request=ScoreRulesInput, responses=RulesSaved)
    def update(self, request: Request) -> Response:
        """What is not sent stays. A worker scores every lead anew: `task_id` tells how far it is."""
        data = self.validated(ScoreRulesInput, request)
        return _saved(services.change_score_rules(actor=self.principal(), changes=data), "The rules were saved.")

    @extend_schema(responses=RulesSaved)
    def restore(self, request: Request) -> Response:
        """Everything as it comes; what was learned from won and lost leads is forgotten too."""
        return _saved(services.restore_score_rules(actor=self.principal()), "The rules are as they come again.")


def _saved(rules: ScoreRules, message: str) -> Response:
    record = rules_record(rules, selectors.scoring_state(rules))
    work = task_fields(rules.task_id) if rules.task_id else {"task_id": None, "status_url": None}
    return Response(single("score_rules", record, message=message, **work))
