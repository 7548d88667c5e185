"""What an admin does to guardrails, and trying a text against one."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from agents.models import Agent
from agents.services import default_settings
from conversations.engine.guardrails import (
    Decision,
    RuleError,
    Stage,
    Verdict,
    check_text,
    check_topics,
    parse_rules,
)
from conversations.engine.safety import make_safe
from conversations.guarding import Guard
from conversations.models import Guardrail
from conversations.selectors import guardrails_of_key
from documents.models import Dataset
from knowrithm.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal, PrincipalKind
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, record_event
from tenants.models import ApiKey

FIELDS = (
    "name", "description", "is_active", "applies_to_all", "agent_ids", "api_key_ids", "dataset_ids",
    "allows_own_documents", "rules", "refusal_text", "link_hosts", "topic_embedder",
)  # fmt: skip
HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
MOST_GUARDRAILS = 100


@dataclass(frozen=True, slots=True)
class Trial:
    """`text` is what would go on: masked, or the refusal. `removed` says what was not safe to show in an answer."""

    stage: Stage
    text: str
    is_refused: bool
    decisions: tuple[Decision, ...]
    removed: tuple[str, ...] = ()


@transaction.atomic
def create_guardrail(*, actor: Principal, fields: Mapping[str, Any]) -> Guardrail:
    """Raises `ConflictError` when the name is taken, `NotFoundError` for unknown agents, keys or datasets."""
    if Guardrail.objects.count() >= MOST_GUARDRAILS:
        raise ConflictError(f"A company has at most {MOST_GUARDRAILS} guardrails. Delete one first.")
    return _save(actor, Guardrail(), fields, "guardrail.created")


@transaction.atomic
def update_guardrail(*, actor: Principal, guardrail: Guardrail, fields: Mapping[str, Any]) -> Guardrail:
    """`rules` and the lists are then the whole of them."""
    return _save(actor, guardrail, fields, "guardrail.updated")


@transaction.atomic
def delete_guardrail(*, actor: Principal, guardrail: Guardrail) -> None:
    """Its decisions stay in their log."""
    _check_may(actor)
    before = fields_of(guardrail, FIELDS)
    guardrail_id, label = guardrail.pk, guardrail.name
    guardrail.delete()
    record_event(
        actor=actor,
        event_type="guardrail.deleted",
        entity_type="guardrail",
        entity_id=guardrail_id,
        entity_label=label,
        changes=changed_fields(before, dict.fromkeys(FIELDS)),
        risk_level=RiskLevel.HIGH,
    )


def try_guardrail(*, guardrail: Guardrail, text: str, stage: Stage, agent: Agent | None = None) -> Trial:
    """What the guardrail, alone, makes of a text. Nothing is stored. Raises `ProviderError`."""
    guard = Guard([guardrail], agent or Agent(llm_settings=default_settings()))
    verdict = check_text(text, stage, guard.rules)
    topics = Verdict(text) if verdict.refusal else check_topics(verdict.text, stage, guard.rules, guard.similarity)
    decisions = (*verdict.decisions, *topics.decisions)
    if refusal := verdict.refusal or topics.refusal:
        return Trial(stage, refusal, True, decisions)
    if stage == Stage.INPUT:
        return Trial(stage, verdict.text, False, decisions)
    hosts = guardrail.link_hosts
    safe = make_safe(verdict.text, link_hosts=hosts, image_hosts=hosts)
    return Trial(stage, safe.text, False, decisions, safe.removed)


def _save(actor: Principal, guardrail: Guardrail, fields: Mapping[str, Any], event_type: str) -> Guardrail:
    _check_may(actor)
    before = {} if guardrail._state.adding else fields_of(guardrail, FIELDS)
    for name in FIELDS:
        if name in fields:
            setattr(guardrail, name, fields[name])
    guardrail.name = guardrail.name.strip()
    guardrail.link_hosts = _hosts(guardrail.link_hosts)
    guardrail.rules = _stored_rules(guardrail.rules)
    _check_links(actor, guardrail, fields)
    taken = Guardrail.objects.exclude(pk=guardrail.pk).filter(name__iexact=guardrail.name).exists()
    if taken:
        text = "There is a guardrail of this name already."
        raise ConflictError(text, code="GUARDRAIL_EXISTS", fields={"name": [text]})
    guardrail.save()
    record_event(
        actor=actor,
        event_type=event_type,
        entity=guardrail,
        changes=changed_fields(before, fields_of(guardrail, FIELDS)),
        risk_level=RiskLevel.MEDIUM,
    )
    return guardrail


def _check_may(actor: Principal) -> None:
    """Whoever is held by guardrails does not loosen them."""
    if actor.kind == PrincipalKind.API_KEY and guardrails_of_key(actor.id).exists():
        raise ForbiddenError("This API key is bound to a guardrail, so it cannot change guardrails.")


def _stored_rules(rows: Any) -> list[dict[str, Any]]:
    try:
        rules = parse_rules(rows)
    except RuleError as error:
        raise InvalidInputError(str(error), fields={"rules": [str(error)]}) from None
    return [
        {
            "name": rule.name,
            "kind": rule.kind.value,
            "action": rule.action.value,
            "on": "both" if len(rule.stages) > 1 else next(iter(rule.stages)).value,
            "values": list(rule.values),
            "threshold": rule.threshold,
        }
        for rule in rules
    ]


def _hosts(given: Collection[str]) -> list[str]:
    """Names alone: `docs.example.com`, or `*.example.com` for all below."""
    hosts = list(dict.fromkeys(host.strip().lower().rstrip(".") for host in given if host.strip()))
    wrong = next((host for host in hosts if len(host) > 253 or HOST.fullmatch(host) is None), None)
    if wrong is not None:
        text = f"{wrong[:100]!r} is not the name of a host. Write it like docs.example.com or *.example.com."
        raise InvalidInputError(text, fields={"link_hosts": [text]})
    return hosts


def _check_links(actor: Principal, guardrail: Guardrail, fields: Mapping[str, Any]) -> None:
    """What is linked anew must be there. What was linked before and is archived since may stay: it does no harm."""
    kinds: tuple[tuple[str, str, models.QuerySet[Any]], ...] = (
        ("agent_ids", "agent", Agent.objects.live()),
        ("dataset_ids", "dataset", Dataset.objects.live()),
        ("api_key_ids", "API key", ApiKey.objects.filter(company_id=actor.company_id)),
    )
    for name, called, rows in kinds:
        ids: list[uuid.UUID] | None = getattr(guardrail, name)
        if name not in fields or ids is None:
            continue
        wanted = set(ids)
        known = (
            set()
            if guardrail._state.adding
            else set(Guardrail.objects.values_list(name, flat=True).get(pk=guardrail.pk) or ())
        )
        if rows.filter(pk__in=wanted - known).count() != len(wanted - known):
            raise NotFoundError(f"There is no such {called}.")
        setattr(guardrail, name, sorted(wanted))
