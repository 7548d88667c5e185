from __future__ import annotations

from typing import Any

from rest_framework import serializers

from leads.models import ScoreRules
from leads.score_rules import FULL, LONGEST_WORD, MOST_WORDS, RULES
from leads.selectors import ScoringState


class RuleInput(serializers.Serializer[Any]):
    points = serializers.IntegerField(
        min_value=0, max_value=FULL, required=False, allow_null=True, help_text="null: as learned, or as it comes."
    )
    is_on = serializers.BooleanField(required=False)
    words = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_WORD, allow_blank=True), max_length=MOST_WORDS, required=False
    )


class ScoreRulesInput(serializers.Serializer[Any]):
    """What is not sent stays as it is."""

    weights = serializers.DictField(child=serializers.IntegerField(min_value=0, max_value=100), required=False)
    rules = serializers.DictField(child=RuleInput(), required=False, help_text="By the rules' ids.")
    is_learning = serializers.BooleanField(required=False)


class ScoreRuleSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    text = serializers.CharField()
    points = serializers.IntegerField(help_text="That it gives now.")
    points_by_hand = serializers.IntegerField(allow_null=True)
    points_learned = serializers.IntegerField(allow_null=True)
    points_as_it_comes = serializers.IntegerField()
    is_on = serializers.BooleanField()
    takes_words = serializers.BooleanField(help_text="False where the record of the lead is the proof.")
    words = serializers.ListField(child=serializers.CharField())
    met_by_won = serializers.IntegerField(allow_null=True)
    met_by_lost = serializers.IntegerField(allow_null=True)


class CriterionSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    weight = serializers.IntegerField(help_text="Its share of 100.")
    rules = ScoreRuleSerializer(many=True)


class ScoreRulesSerializer(serializers.Serializer[Any]):
    criteria = CriterionSerializer(many=True)
    is_learning = serializers.BooleanField()
    is_as_it_comes = serializers.BooleanField()
    learned_from = serializers.DictField(child=serializers.IntegerField(), help_text="Leads: `won` and `lost`.")
    learned_at = serializers.DateTimeField(allow_null=True)
    revision = serializers.IntegerField()
    scored = serializers.IntegerField(help_text="Leads that have their score by these rules.")
    total = serializers.IntegerField()


def rules_record(rules: ScoreRules, state: ScoringState) -> dict[str, Any]:
    choices = rules.choices
    criteria = []
    for name, of_criterion in RULES.items():
        rows = []
        for rule in of_criterion:
            choice, learned = choices.choice(rule), rules.learned.get(rule.id, {})
            rows.append(
                {
                    "id": rule.id,
                    "text": rule.text,
                    "points": choices.points(rule),
                    "points_by_hand": choice.points,
                    "points_learned": learned.get("points"),
                    "points_as_it_comes": rule.points,
                    "is_on": choice.is_on,
                    "takes_words": not rule.is_fact,
                    "words": list(choice.words),
                    "met_by_won": learned.get("won"),
                    "met_by_lost": learned.get("lost"),
                }
            )
        criteria.append({"name": name, "weight": choices.weight(name), "rules": rows})
    return {
        "criteria": criteria,
        "is_learning": rules.is_learning,
        "is_as_it_comes": rules.is_as_it_comes,
        "learned_from": rules.learned_from,
        "learned_at": rules.learned_at,
        "revision": rules.revision,
        "scored": state.scored,
        "total": state.total,
    }
