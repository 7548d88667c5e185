"""The rules of a company's score: changed by hand, restored, and learned from won and lost leads."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from knowrithm.errors import InvalidInputError
from knowrithm.jobs import create_task, fail_task
from knowrithm.principal import Principal
from leads.learning import Learned
from leads.models import ScoreRules
from leads.score_rules import Choices, ScoreRuleError, parse_rules, parse_weights
from leads.selectors import open_task
from leads.signals import score_rules_changed
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, record_event

BY_HAND = ("weights", "rules", "is_learning")


@transaction.atomic
def change_score_rules(*, actor: Principal, changes: Mapping[str, Any]) -> ScoreRules:
    """`changes` as `changed_choices` takes them, and `is_learning`. Has a worker score every lead by the new rules.

    Nothing happens when nothing changes. Raises `InvalidInputError`.
    """
    actor.must_be_admin()
    rules = _locked()
    before = _by_hand(rules)
    wanted = changed_choices(rules, changes)
    rules.weights = dict(wanted.weights)
    rules.rules = {rule_id: choice.as_row() for rule_id, choice in wanted.rules.items()}
    rules.is_learning = changes.get("is_learning", rules.is_learning)
    if _by_hand(rules) == before:
        return rules
    _save(rules)
    record_event(
        actor=actor, event_type="lead_scores.changed", entity=rules, risk_level=RiskLevel.MEDIUM,
        changes=changed_fields(before, _by_hand(rules)),
    )  # fmt: skip
    return rules


@transaction.atomic
def restore_score_rules(*, actor: Principal) -> ScoreRules:
    """Everything as it comes. What was learned is forgotten too; learning is on, and begins anew with its next day."""
    actor.must_be_admin()
    rules = _locked()
    if rules.is_as_it_comes:
        return rules
    before = _by_hand(rules)
    rules.weights, rules.rules, rules.is_learning = {}, {}, True
    rules.learned, rules.learned_from, rules.learned_at = {}, {}, None
    _save(rules)
    record_event(
        actor=actor, event_type="lead_scores.restored", entity=rules, risk_level=RiskLevel.MEDIUM,
        changes=changed_fields(before, _by_hand(rules)),
    )  # fmt: skip
    return rules


@transaction.atomic
def keep_learned(*, learned: Mapping[str, Learned], won: int, lost: int) -> ScoreRules:
    """What a worker has learned from so many won and lost leads. The points that were set by hand stay as they are.

    Every lead is scored anew only when some rule gives other points than before.
    """
    rules = _locked()
    if not rules.is_learning or not learned:
        return rules
    before = {rule_id: row["points"] for rule_id, row in rules.learned.items()}
    rules.learned = {rule_id: one.as_row() for rule_id, one in learned.items()}
    rules.learned_from, rules.learned_at = {"won": won, "lost": lost}, timezone.now()
    after = {rule_id: one.points for rule_id, one in learned.items()}
    if after == before:
        rules.save()
        return rules
    _save(rules)
    record_event(
        actor=None, event_type="lead_scores.learned", entity=rules,
        changes=changed_fields({"learned": before}, {"learned": after}),
    )  # fmt: skip
    return rules


def changed_choices(rules: ScoreRules, changes: Mapping[str, Any]) -> Choices:
    """The choices as they would be: `weights` by criterion, `rules` by id with `points`, `is_on` and `words`.

    What is not named stays as it is; the points None are those that the rule comes with or was taught. Nothing is
    written. Raises `InvalidInputError`.
    """
    now = rules.choices
    try:
        weights = parse_weights({**now.weights, **changes.get("weights", {})})
        rows: dict[str, dict[str, Any]] = {rule_id: choice.as_row() for rule_id, choice in now.rules.items()}
        for rule_id, row in changes.get("rules", {}).items():
            rows[rule_id] = {**rows.get(rule_id, {}), **row}
        choices = parse_rules(rows)
    except ScoreRuleError as error:
        raise InvalidInputError(str(error), fields={error.field: [str(error)]}) from None
    is_learning = changes.get("is_learning", rules.is_learning)
    learned = {rule_id: row["points"] for rule_id, row in rules.learned.items()} if is_learning else {}
    return Choices(weights, choices, learned)


def _locked() -> ScoreRules:
    ScoreRules.objects.get_or_create(is_only=True)
    return ScoreRules.objects.select_for_update().get()


def _by_hand(rules: ScoreRules) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in BY_HAND}


def _save(rules: ScoreRules) -> None:
    if (record := open_task(rules)) is not None:
        fail_task(record.id, "Other rules were saved meanwhile, and their task goes on.", "SCORE_RULES_CHANGED")
    rules.revision += 1
    rules.task_id = uuid.UUID(create_task())
    rules.save()
    score_rules_changed.send(ScoreRules, rules=rules)
