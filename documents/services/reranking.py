"""The model that puts an agent's passages in order anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from agents.models import Agent
from agents.services import check_may_configure
from documents.enums import RerankProvider
from documents.models import AgentReranker
from knowrithm.errors import InvalidInputError
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, record_event

RECORDED = ("provider", "model", "base_url", "passages")
HOSTED = (RerankProvider.COHERE, RerankProvider.JINA)


@transaction.atomic
def set_reranker(*, actor: Principal, agent: Agent, choices: Mapping[str, Any]) -> AgentReranker:
    """Of `provider`, `model`, `base_url`, `api_key` and `passages` what is absent stays.

    An empty key stays too, but not when provider or address change: it was given for another server.
    """
    check_may_configure(actor)
    reranker = AgentReranker.objects.filter(agent=agent).first() or AgentReranker(agent=agent)
    before = {} if reranker._state.adding else fields_of(reranker, RECORDED)
    place = reranker.provider, reranker.base_url
    for name in RECORDED:
        if name in choices:
            setattr(reranker, name, choices[name])
    if choices.get("api_key"):
        reranker.api_key = choices["api_key"]
    elif place != (reranker.provider, reranker.base_url):
        reranker.api_key = ""
    _check(reranker)
    reranker.save()
    changes = changed_fields(before, fields_of(reranker, RECORDED))
    _record(actor, "agent.reranker_set", agent, changes)
    return reranker


@transaction.atomic
def remove_reranker(*, actor: Principal, agent: Agent) -> None:
    """Where there is none, nothing happens but the record."""
    check_may_configure(actor)
    before = AgentReranker.objects.filter(agent=agent).first()
    AgentReranker.objects.filter(agent=agent).delete()
    changes = changed_fields(fields_of(before, RECORDED), dict.fromkeys(RECORDED)) if before else {}
    _record(actor, "agent.reranker_removed", agent, changes)


def _check(reranker: AgentReranker) -> None:
    if reranker.provider != RerankProvider.TEI and not reranker.model:
        raise _missing("model", "Name the model.")
    if reranker.base_url and not reranker.base_url.startswith(("https://", "http://")):
        raise _missing("base_url", "An address begins with https:// or http://.")
    if reranker.provider not in HOSTED and not reranker.base_url:
        raise _missing("base_url", "Give the address of your server.")
    if not reranker.base_url and not reranker.api_key:
        raise _missing("api_key", "This provider needs an API key.")


def _missing(name: str, text: str) -> InvalidInputError:
    return InvalidInputError(text, fields={name: [text]})


def _record(actor: Principal, event_type: str, agent: Agent, changes: Mapping[str, Any]) -> None:
    record_event(actor=actor, event_type=event_type, entity=agent, changes=dict(changes), risk_level=RiskLevel.MEDIUM)
