"""What happens to agents and to the models they use."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from agents.catalog.models import ModelKind, Provider, ProviderModel
from agents.catalog.seed import MINILM, seed_catalogue
from agents.catalog.selectors import find_model, find_provider
from agents.enums import AgentStatus
from agents.exceptions import DefaultSettingsError, SettingsInUseError, UnknownModelError
from agents.hours import check_hours
from agents.models import Agent, LeadField, LLMSettings
from agents.signals import (
    agent_archiving,
    agent_cloned,
    agent_created,
    agent_updated,
    embedder_changed,
    settings_deleting,
)
from agents.specialists import checked_specialists, still_there
from agents.versions import VERSIONED_FIELDS, freeze, freeze_first
from agents.widget_settings import clean_domains, clean_widget_settings
from knowrithm.errors import ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.principal import NEEDS_ADMIN, Principal, Role
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, log_of, record_event
from tenants.services import add_agent_route

AGENT_FIELDS = (*VERSIONED_FIELDS, "status", "chunk_size", "chunk_overlap", "widget", "allowed_domains")
SETTINGS_FIELDS = (
    "name", "llm_api_key", "llm_api_base_url", "llm_temperature", "llm_max_tokens", "llm_additional_params",
    "embedding_api_key", "embedding_api_base_url", "embedding_dimension", "embedding_additional_params",
    "widget_script_url", "widget_config", "is_active", "llm_price_currency", "fallback_after",
)  # fmt: skip
PRICES = ("llm_input_price", "llm_output_price")  # empty is the catalogue's
MOST_FALLBACKS = 3
COPIED_FIELDS = (
    *SETTINGS_FIELDS,
    *PRICES,
    "fallback_ids",
    "llm_provider",
    "llm_model",
    "embedding_provider",
    "embedding_model",
)
RECORDED_SETTINGS = (*COPIED_FIELDS, "is_default")
RECORDED_AGENT_FIELDS = (*AGENT_FIELDS, "llm_settings")


# --- Settings -----------------------------------------------------------------------------------------------------


def create_default_settings() -> LLMSettings:
    """The company's first default: the built-in models."""
    builtin = Provider.objects.get(slug="builtin")
    return LLMSettings.objects.create(
        name="Company default",
        llm_provider=builtin,
        llm_model=builtin.models.get(name="extractive"),
        embedding_provider=builtin,
        embedding_model=builtin.models.get(name=MINILM.name),
        embedding_dimension=384,
        is_default=True,
    )


def default_settings() -> LLMSettings:
    row: LLMSettings | None = LLMSettings.objects.with_models().filter(is_default=True).first()
    return row or create_default_settings()


@transaction.atomic
def create_settings(*, actor: Principal, choices: Mapping[str, Any], is_default: bool = False) -> LLMSettings:
    """Settings from `choices`: providers and models by name (`llm_provider`) or id (`llm_provider_id`).

    What is not chosen comes from the company's default. Raises `UnknownModelError`.
    """
    check_may_configure(actor)
    settings = _make_settings(choices, is_default=is_default)
    _record_settings(actor, "llm_settings.created", settings, {})
    return settings


def _make_settings(choices: Mapping[str, Any], *, is_default: bool) -> LLMSettings:
    base = default_settings()
    settings = LLMSettings(**{name: getattr(base, name) for name in COPIED_FIELDS})
    settings.name = ""
    _choose(settings, choices)
    if is_default:
        LLMSettings.objects.filter(is_default=True).update(is_default=False)
        settings.is_default = True
    settings.save()
    return settings


@transaction.atomic
def update_settings(*, actor: Principal, settings: LLMSettings, choices: Mapping[str, Any]) -> LLMSettings:
    """An API key that is empty or absent stays as it is: clients send back what they were shown."""
    before = fields_of(settings, RECORDED_SETTINGS)
    users = list(Agent.objects.live().filter(llm_settings=settings))
    for agent in users:
        freeze_first(agent)
    change_settings(actor, settings, choices)
    for agent in users:
        freeze(agent, actor=actor, note="The settings of its models were changed.")
    _record_settings(actor, "llm_settings.updated", settings, before)
    return settings


def change_settings(actor: Principal, settings: LLMSettings, choices: Mapping[str, Any]) -> LLMSettings:
    check_may_configure(actor)
    before = copy.copy(settings)
    _choose(settings, {name: value for name, value in choices.items() if value or not name.endswith("_api_key")})
    if choices.get("is_default") and not settings.is_default:
        LLMSettings.objects.filter(is_default=True).update(is_default=False)
        settings.is_default = True
    settings.save()
    if settings.embedding_identity != before.embedding_identity:
        users = list(Agent.objects.with_settings().filter(llm_settings=settings))
        embedder_changed.send(sender=LLMSettings, agents=users, settings=settings, before=before)
    return settings


def _record_settings(actor: Principal, event_type: str, settings: LLMSettings, before: Mapping[str, Any]) -> None:
    record_event(
        actor=actor,
        event_type=event_type,
        entity=settings,
        entity_type="llm_settings",
        changes=changed_fields(before, fields_of(settings, RECORDED_SETTINGS)),
        risk_level=RiskLevel.MEDIUM,
    )


@transaction.atomic
def delete_settings(*, actor: Principal, settings: LLMSettings) -> None:
    check_may_configure(actor)
    if settings.is_default:
        raise DefaultSettingsError("These are the company's default settings. Make others the default first.")
    if Agent.objects.filter(Q(llm_settings=settings) | Q(draft_settings=settings)).exists():
        raise SettingsInUseError("Agents use these settings. Give them others first.")
    if LLMSettings.objects.filter(fallback_ids__contains=[settings.pk]).exists():
        raise SettingsInUseError("Other settings fall back on these. Take them off their list first.")
    settings_deleting.send(sender=LLMSettings, settings=settings)
    settings_id, label = settings.pk, str(settings)
    settings.delete()
    record_event(
        actor=actor,
        event_type="llm_settings.deleted",
        entity_type="llm_settings",
        entity_id=settings_id,
        entity_label=label,
        risk_level=RiskLevel.MEDIUM,
    )


def _choose(settings: LLMSettings, choices: Mapping[str, Any]) -> None:
    for part, kind in (("llm", ModelKind.LLM), ("embedding", ModelKind.EMBEDDING)):
        provider, model = _chosen_model(settings, choices, part, kind)
        if provider != getattr(settings, f"{part}_provider"):
            # Another provider: its predecessor's key and address must never be sent to it.
            setattr(settings, f"{part}_api_key", "")
            setattr(settings, f"{part}_api_base_url", "")
        setattr(settings, f"{part}_provider", provider)
        if model != getattr(settings, f"{part}_model") and kind == ModelKind.EMBEDDING and model.embedding_dimension:
            settings.embedding_dimension = model.embedding_dimension
        setattr(settings, f"{part}_model", model)
        address = choices.get(f"{part}_api_base_url")
        if address is not None and address != getattr(settings, f"{part}_api_base_url"):
            setattr(settings, f"{part}_api_key", "")  # nor may a stored key be sent to another address
    for name in SETTINGS_FIELDS:
        if choices.get(name) is not None:
            setattr(settings, name, choices[name])
    for name in PRICES:
        if name in choices:
            setattr(settings, name, choices[name])
    if choices.get("fallback_models") is not None:
        settings.fallback_ids = _checked_fallbacks(settings, choices["fallback_models"])


def _checked_fallbacks(settings: LLMSettings, wanted: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    ids = list(dict.fromkeys(wanted))
    known = set(LLMSettings.objects.filter(pk__in=ids).exclude(pk=settings.pk).values_list("pk", flat=True))
    fault = ""
    if len(ids) > MOST_FALLBACKS:
        fault = f"At most {MOST_FALLBACKS} models can follow."
    elif set(ids) != known:
        fault = "Choose other settings of your company; these are unknown, or the same."
    if fault:
        raise InvalidInputError(fault, fields={"fallback_models": [fault]})
    return ids


def _chosen_model(
    settings: LLMSettings, choices: Mapping[str, Any], part: str, kind: ModelKind
) -> tuple[Provider, ProviderModel]:
    wanted_provider = choices.get(f"{part}_provider_id") or choices.get(f"{part}_provider")
    wanted_model = choices.get(f"{part}_model_id") or choices.get(f"{part}_model")
    provider: Provider = getattr(settings, f"{part}_provider")
    if wanted_provider:
        found = find_provider(str(wanted_provider))
        if found is None:
            raise UnknownModelError(
                f"There is no provider {str(wanted_provider)!r}. See GET /api/v1/providers for the names.",
                fields={f"{part}_provider": ["Unknown provider."]},
            )
        provider = found
    if not wanted_model:
        current: ProviderModel = getattr(settings, f"{part}_model")
        if current.provider_id == provider.id:
            return provider, current
        first = provider.models.filter(kind=kind, is_active=True).order_by("-is_recommended", "sort_order").first()
        if first is None:
            raise UnknownModelError(
                f"{provider.label} offers no {kind} model.", fields={f"{part}_model": ["Required."]}
            )
        return provider, first
    model = find_model(provider, str(wanted_model), kind)
    if model is None:
        raise UnknownModelError(
            f"{provider.label} has no {kind} model {str(wanted_model)!r}. "
            f"See GET /api/v1/providers/{provider.id}/models for the names.",
            fields={f"{part}_model": ["Unknown model."]},
        )
    return provider, model


def settings_by_id(settings_id: uuid.UUID) -> LLMSettings:
    settings: LLMSettings | None = LLMSettings.objects.with_models().filter(pk=settings_id).first()
    if settings is None:
        raise NotFoundError("There are no such settings.")
    return settings


def settings_to_try(
    *, actor: Principal, settings: LLMSettings | None = None, choices: Mapping[str, Any] | None = None
) -> LLMSettings:
    """Unsaved settings for `agents.trial`: a copy of `settings`, or of the default, with the `choices`.

    A stored key goes to no other provider or address than the one it was stored for.
    """
    check_may_configure(actor)
    base = settings or default_settings()
    trial = LLMSettings(**{name: getattr(base, name) for name in COPIED_FIELDS})
    given = choices or {}
    _choose(trial, {name: value for name, value in given.items() if value or not name.endswith("_api_key")})
    return trial


@transaction.atomic
def complete_catalogue(*, actor: Principal) -> int:
    """Add the providers and models that are missing. Returns how many; repeating it changes nothing."""
    added = seed_catalogue()
    if added:
        with log_of(None):  # all companies share the catalogue
            record_event(
                actor=actor,
                event_type="catalogue.completed",
                entity_type="catalogue",
                changes={"added": (0, added)},
                risk_level=RiskLevel.MEDIUM,
            )
    return added


# --- Agents -------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_agent(
    *,
    actor: Principal,
    name: str,
    settings_id: uuid.UUID | None = None,
    choices: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Agent:
    """An agent with the settings named by `settings_id`, or made from `choices`, or else the company's default.

    Raises `ForbiddenError` for a person who is no admin.
    """
    check_may_configure(actor)
    check_hours(fields)
    agent = _make_agent(actor, name, settings_id, choices, fields)
    freeze(agent, actor=actor, note="Created.")
    agent_created.send(sender=Agent, agent=agent)
    record_event(
        actor=actor,
        event_type="agent.created",
        entity=agent,
        changes=changed_fields({}, fields_of(agent, ("name", "status", "llm_settings"))),
    )
    return agent


def _make_agent(
    actor: Principal,
    name: str,
    settings_id: uuid.UUID | None,
    choices: Mapping[str, Any] | None,
    fields: Mapping[str, Any],
) -> Agent:
    if settings_id is not None:
        settings = settings_by_id(settings_id)
    elif choices:
        settings = _make_settings(choices, is_default=bool(choices.get("is_default")))
    else:
        settings = default_settings()
    if fields.get("specialists") is not None:
        fields = {**fields, "specialists": checked_specialists(fields["specialists"], agent=None)}
    fields = _with_clean_widget(fields)
    agent = Agent(name=name, llm_settings=settings, **{key: fields[key] for key in AGENT_FIELDS if key in fields})
    agent.save()
    add_agent_route(agent_id=agent.id, company_id=actor.company_id)
    return agent


@transaction.atomic
def update_agent(
    *,
    actor: Principal,
    agent: Agent,
    changes: Mapping[str, Any],
    settings_id: uuid.UUID | None = None,
    choices: Mapping[str, Any] | None = None,
    note: str = "",
) -> Agent:
    """Change an agent at once, as a new version, for which `note` says why; a draft stays beside it.

    `choices` change its own settings, and give it a copy when it shares them with others.
    """
    check_hours(changes)
    before = recorded(agent)
    change_agent(actor, agent, changes, settings_id, choices)
    freeze(agent, actor=actor, note=note)
    agent_updated.send(sender=Agent, agent=agent)
    after = changed_fields(before, recorded(agent))
    configures = settings_id is not None or bool(choices)
    record_event(
        actor=actor,
        event_type="agent.updated",
        entity=agent,
        changes=after,
        risk_level=RiskLevel.MEDIUM if configures else RiskLevel.LOW,
    )
    return agent


@transaction.atomic
def create_settings_for(*, actor: Principal, agent: Agent, choices: Mapping[str, Any]) -> LLMSettings:
    """Settings as `create_settings` makes them, which the agent uses from now on."""
    before = recorded(agent)
    settings = _make_settings(choices, is_default=False)
    change_agent(actor, agent, {}, settings.id, None)
    freeze(agent, actor=actor)
    agent_updated.send(sender=Agent, agent=agent)
    record_event(
        actor=actor,
        event_type="agent.updated",
        entity=agent,
        changes=changed_fields(before, recorded(agent)),
        risk_level=RiskLevel.MEDIUM,
    )
    return settings


def recorded(agent: Agent) -> dict[str, Any]:
    """The agent's fields and those of its settings, as the audit log shows them."""
    return fields_of(agent, RECORDED_AGENT_FIELDS) | {
        name if name.startswith(("llm_", "embedding_")) else f"settings_{name}": value
        for name, value in fields_of(agent.llm_settings, RECORDED_SETTINGS).items()
    }


def change_agent(
    actor: Principal,
    agent: Agent,
    changes: Mapping[str, Any],
    settings_id: uuid.UUID | None,
    choices: Mapping[str, Any] | None,
) -> None:
    freeze_first(agent)
    before = copy.copy(agent.llm_settings)
    changes = _with_clean_widget(changes)
    if "specialists" in changes:
        changes = {**changes, "specialists": checked_specialists(changes["specialists"], agent=agent)}
    for name in AGENT_FIELDS:
        if name in changes:
            setattr(agent, name, changes[name])
    if settings_id is not None or choices:
        check_may_configure(actor)
        agent.llm_settings = settings_by_id(settings_id) if settings_id else _own_settings(actor, agent, choices or {})
    # Only what was changed: the counters beside it move while this runs.
    agent.save(update_fields=[*(name for name in AGENT_FIELDS if name in changes), "llm_settings", "updated_at"])
    if agent.llm_settings.embedding_identity != before.embedding_identity:
        embedder_changed.send(sender=Agent, agents=[agent], settings=None, before=before)


def _with_clean_widget(fields: Mapping[str, Any]) -> dict[str, Any]:
    checks: dict[str, Callable[[Any], Any]] = {"widget": _clean_widget, "allowed_domains": clean_domains}
    return {**fields, **{name: clean(fields[name]) for name, clean in checks.items() if name in fields}}


def _clean_widget(given: Mapping[str, Any]) -> dict[str, Any]:
    """As `clean_widget_settings`; what it asks for of the company's own fields must be there, archived or not."""
    kept = clean_widget_settings(given)
    if asked := set(kept.get("custom_fields", {})):
        known = set(LeadField.objects.values_list("key", flat=True))
        if asked - known:
            of = f"Use some of {', '.join(sorted(known))}." if known else "Your company has defined none."
            text = f"There is no such field. {of}"
            raise InvalidInputError("The widget's settings are not right.", fields={"widget.custom_fields": [text]})
    return kept


def check_may_configure(actor: Principal) -> None:
    """Which models answer, and whom they bill, is an admin's business (or that of a key that may write)."""
    if actor.role == Role.USER:
        raise ForbiddenError(NEEDS_ADMIN)


def _own_settings(actor: Principal, agent: Agent, choices: Mapping[str, Any]) -> LLMSettings:
    current = agent.llm_settings
    is_shared = current.is_default or Agent.objects.filter(llm_settings=current).exclude(pk=agent.pk).exists()
    if not is_shared:
        return change_settings(actor, current, choices)
    own = LLMSettings(**{name: getattr(current, name) for name in COPIED_FIELDS}, is_default=False)
    own.name = agent.name[:120]
    own.save()
    return change_settings(actor, own, {**choices, "is_default": False})


def count_later(agent_id: uuid.UUID, *, conversations: int = 0, messages: int = 0) -> None:
    """Add to an agent's totals, once the transaction is there for good.

    Within it the row would stay locked until the commit, and all that is asked of one agent would stand in a queue.
    """
    more = {"total_conversations": conversations, "total_messages": messages}
    values = {name: F(name) + count for name, count in more.items() if count}
    transaction.on_commit(lambda: Agent.objects.filter(pk=agent_id).update(**values), robust=True)


@transaction.atomic
def archive_agent(*, actor: Principal, agent: Agent) -> Agent:
    agent_archiving.send(sender=Agent, agent=agent)
    agent.archived_at = timezone.now()
    agent.save(update_fields=["archived_at", "updated_at"])
    agent_updated.send(sender=Agent, agent=agent)
    record_event(actor=actor, event_type="agent.archived", entity=agent, risk_level=RiskLevel.MEDIUM)
    return agent


@transaction.atomic
def restore_agent(*, actor: Principal, agent: Agent) -> Agent:
    agent.archived_at = None
    agent.save(update_fields=["archived_at", "updated_at"])
    agent_updated.send(sender=Agent, agent=agent)
    record_event(actor=actor, event_type="agent.restored", entity=agent)
    return agent


@transaction.atomic
def clone_agent(
    *,
    actor: Principal,
    agent: Agent,
    name: str = "",
    settings_id: uuid.UUID | None = None,
    with_knowledge: bool = False,
) -> Agent:
    """A copy with the same settings, inactive until somebody has looked at it; its draft is not copied.

    `with_knowledge` gives it copies of the documents, without embedding them again, and the same datasets.
    """
    fields = {key: getattr(agent, key) for key in AGENT_FIELDS} | {
        "status": AgentStatus.INACTIVE,
        "specialists": still_there(agent.specialists),
    }
    del fields["name"]
    clone_name = name or f"{agent.name} (copy)"[:200]
    if settings_id is not None:
        check_may_configure(actor)
    clone = _make_agent(actor, clone_name, settings_id or agent.llm_settings_id, None, fields)
    if with_knowledge:
        agent_cloned.send(sender=Agent, source=agent, clone=clone)
    freeze(clone, actor=actor, note=f"A copy of {agent.name}.")
    agent_created.send(sender=Agent, agent=clone)
    record_event(
        actor=actor,
        event_type="agent.cloned",
        entity=clone,
        changes={
            "name": (agent.name, clone.name),
            "cloned_from": (None, agent.id),
            "with_knowledge": (None, with_knowledge),
        },
    )
    return clone
