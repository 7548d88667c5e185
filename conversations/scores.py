"""Scores of many leads: kept in their rows by a worker, tried with other rules, and learned from won and lost ones."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate

from django.db import transaction
from django.db.models import Count, Q, Window
from django.db.models.functions import Coalesce, Left, RowNumber
from django.utils import timezone

from conversations.enums import MessageRole
from conversations.models import Conversation, Message
from knowrithm.jobs import complete_task, report_progress
from leads.enums import LeadStatus
from leads.learning import Outcome, learn
from leads.models import Lead, ScoreRules
from leads.score_rules import BY_ID, Choices
from leads.scoring import Known, Met, Said, Score, met_rules, score_lead, score_met
from leads.selectors import open_task, score_rules, scoring_state
from leads.services import keep_learned

HEARD = 500  # messages that a score rests on, from the first
HEARD_CHARACTERS = 2000  # of each
BATCH = 50
TURN = 30.0  # seconds, after which another company has its turn
MARGIN = timedelta(minutes=2)  # a message's time is older than the commit that shows it
TRIED_LEADS, TRIED_MESSAGES, SHOWN_MOVES = 200, 5000, 20
OUTCOMES = 500  # won leads that are learned from, and as many lost ones: the latest


# --- What was said ------------------------------------------------------------------------------------------------


def score_of(lead: Lead, merged: Sequence[Lead]) -> Score:
    """From what was said in conversations that are not archived. Two queries."""
    said = _said([lead.pk, *(one.pk for one in merged)])
    return score_lead(said.get(lead.pk, []), _known(lead, merged), score_rules().choices)


@dataclass(frozen=True, slots=True)
class _Heard:
    """All that a lead's score rests on."""

    said: Sequence[Said]
    known: Known

    def met(self, choices: Choices) -> list[Met]:
        return met_rules(self.said, self.known, choices)


def _heard(leads: Sequence[Lead]) -> list[_Heard]:
    """Of each lead, together with those that were merged into it. Two queries."""
    merged: dict[uuid.UUID | None, list[Lead]] = defaultdict(list)
    for one in Lead.objects.filter(merged_into__in=leads).only("merged_into_id", "email", "phone"):
        merged[one.merged_into_id].append(one)
    said = _said([*(lead.pk for lead in leads), *(one.pk for ones in merged.values() for one in ones)])
    return [_Heard(said.get(lead.pk, []), _known(lead, merged[lead.pk])) for lead in leads]


def _known(lead: Lead, merged: Iterable[Lead]) -> Known:
    everybody = [lead, *merged]
    return Known(
        has_email=any(one.email for one in everybody),
        has_phone=any(one.phone for one in everybody),
        consents_to_marketing=lead.consent_marketing,
    )


def _said(lead_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, list[Said]]:
    """By the lead, which speaks for those that were merged into it. One query."""
    person = _person("conversation__lead")
    rows = (
        Message.objects.live()
        .filter(conversation__lead__in=lead_ids, conversation__archived_at=None, role=MessageRole.USER)
        .annotate(person=person, text=Left("content", HEARD_CHARACTERS))
        .annotate(number=Window(RowNumber(), partition_by=[person], order_by=["created_at", "position"]))
        .filter(number__lte=HEARD)
        .order_by("created_at", "position")
    )
    said: dict[uuid.UUID, list[Said]] = defaultdict(list)
    for person_id, *values in rows.values_list("person", "pk", "conversation_id", "text"):
        said[person_id].append(Said(*values))
    return said


def _person(lead: str) -> Coalesce:
    return Coalesce(f"{lead}__merged_into_id", f"{lead}_id")


# --- Keeping the scores -------------------------------------------------------------------------------------------


def score_leads() -> bool:
    """Score every lead whose score is of other rules or from before something changed. True when all is done.

    Each batch is committed by itself, and what is done is not looked at again: killed at any moment, the next run does
    the rest. A batch is locked, so that two workers never do the same.
    """
    _hear()
    until, after = time.monotonic() + TURN, uuid.UUID(int=0)
    while time.monotonic() < until:
        last = _score_batch(after)
        if last is None:
            _end_task()
            return True
        after = last
        _tell_progress()
    return False


@transaction.atomic
def _hear() -> None:
    """Mark the leads with whom something was said, or a conversation changed, since the last time."""
    started = timezone.now()
    ScoreRules.objects.get_or_create(is_only=True)
    rules = ScoreRules.objects.select_for_update().get()
    if rules.heard_until is not None:
        since = rules.heard_until - MARGIN
        recent = Conversation.objects.exclude(lead=None).filter(Q(last_activity__gte=since) | Q(updated_at__gte=since))
        people = recent.annotate(person=_person("lead")).order_by().values("person")
        Lead.objects.filter(pk__in=people).update(scored_at=None)
    ScoreRules.objects.filter(pk=rules.pk).update(heard_until=started)


@transaction.atomic
def _score_batch(after: uuid.UUID) -> uuid.UUID | None:
    """Returns the last of the leads that were scored, in the order of their ids; None when there was none."""
    started = timezone.now()
    rules = score_rules()
    rows = Lead.objects.to_be_scored(revision=rules.revision).filter(pk__gt=after).order_by("pk")
    leads: list[Lead] = list(rows.select_for_update(skip_locked=True)[:BATCH])
    if not leads:
        return None
    choices = rules.choices
    for lead, heard in zip(leads, _heard(leads), strict=True):
        lead.score = score_met(heard.met(choices), choices).points
        lead.scored_at, lead.score_revision = started, rules.revision
    Lead.objects.bulk_update(leads, ["score", "scored_at", "score_revision"])
    last: uuid.UUID = leads[-1].pk
    return last


def _tell_progress() -> None:
    rules = score_rules()
    if (task := open_task(rules)) is not None:
        state = scoring_state(rules)
        text = f"{state.scored:,} of {state.total:,} leads"
        report_progress(task.id, state.scored * 100 // max(state.total, 1), text)


def _end_task() -> None:
    rules = score_rules()
    if (task := open_task(rules)) is not None:
        state = scoring_state(rules)
        if state.is_complete:
            complete_task(task.id, {"message": "The leads were scored.", "scored": state.scored})


# --- Trying other rules -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Move:
    lead: Lead
    before: int
    after: int

    @property
    def change(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Trial:
    """How the scores of the `looked_at` leads that were last seen would move; `moves` are the widest."""

    looked_at: int
    up: int
    down: int
    moves: Sequence[Move]

    @property
    def same(self) -> int:
        return self.looked_at - self.up - self.down


def try_choices(now: Choices, wanted: Choices) -> Trial:
    """Of at most `TRIED_LEADS` leads, and no more than have said `TRIED_MESSAGES`. Four queries; nothing is stored."""
    leads = _few_enough(list(Lead.objects.listed().order_by("-last_activity", "pk")[:TRIED_LEADS]))
    moves = [
        Move(lead, score_met(heard.met(now), now).points, score_met(heard.met(wanted), wanted).points)
        for lead, heard in zip(leads, _heard(leads), strict=True)
    ]
    widest = sorted((move for move in moves if move.change), key=lambda move: -abs(move.change))
    up = sum(move.change > 0 for move in moves)
    return Trial(len(moves), up, len(widest) - up, widest[:SHOWN_MOVES])


def _few_enough(leads: Sequence[Lead]) -> list[Lead]:
    """The first of them, as far as what they have said can be read while somebody waits. One query."""
    mine = Q(conversation__lead__in=leads) | Q(conversation__lead__merged_into__in=leads)
    rows = Message.objects.live().filter(mine, conversation__archived_at=None, role=MessageRole.USER)
    rows = rows.annotate(person=_person("conversation__lead")).order_by().values("person")
    said = dict(rows.annotate(count=Count("pk")).values_list("person", "count"))
    totals = accumulate(min(said.get(lead.pk, 0), HEARD) for lead in leads)
    return [lead for lead, total in zip(leads, totals, strict=True) if total <= TRIED_MESSAGES]


# --- Learning from won and lost ones ------------------------------------------------------------------------------


def learn_from_outcomes() -> None:
    """The rules' points as the latest won and lost leads suggest them, unless the company has learning off."""
    rules = score_rules()
    if not rules.is_learning:
        return
    choices = rules.choices
    outcomes = []
    for status in (LeadStatus.CONVERTED, LeadStatus.LOST):
        rows = Lead.objects.listed().filter(status=status).order_by("-updated_at", "pk")
        latest = list(rows[:OUTCOMES])
        for first in range(0, len(latest), BATCH):
            for heard in _heard(latest[first : first + BATCH]):
                met = frozenset(one.rule.id for one in heard.met(choices))
                outcomes.append(Outcome(status == LeadStatus.CONVERTED, met))
    is_on = [rule.id for rule in BY_ID.values() if choices.choice(rule).is_on]
    won = sum(outcome.is_won for outcome in outcomes)
    keep_learned(learned=learn(outcomes, is_on), won=won, lost=len(outcomes) - won)
