"""What is saved first and published later: drafts, publishing, and rolling back. A service like agents.services."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from agents.catalog.models import ModelKind
from agents.catalog.selectors import find_model, find_provider
from agents.exceptions import NoDraftError, SettingsGoneError, VersionUnchangedError
from agents.hours import check_hours
from agents.models import Agent, AgentVersion, LLMSettings
from agents.services import (
    COPIED_FIELDS,
    change_agent,
    change_settings,
    check_may_configure,
    recorded,
    settings_by_id,
)
from agents.signals import agent_published, settings_deleting, version_restored
from agents.specialists import checked_specialists, still_there
from agents.versions import (
    ABSENT,
    FROZEN_SETTINGS,
    VERSIONED_FIELDS,
    compare,
    configuration_of,
    drafted,
    freeze,
    freeze_first,
    settings_configuration,
    settings_to_restore,
)
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, record_event

DRAFT_SETTINGS = "Draft of "  # so begins the name of settings that were made for a draft
NO_DRAFT = "There is no draft. Save changes as a draft first."


@transaction.atomic
def save_draft(
    *,
    actor: Principal,
    agent: Agent,
    changes: Mapping[str, Any],
    settings_id: uuid.UUID | None = None,
    choices: Mapping[str, Any] | None = None,
) -> Agent:
    """Keep changes beside what is published; visitors are answered as before. They add to the draft that there is.

    A value equal to the published one leaves the draft, and a draft without any is none. The parameters are those of
    `update_agent`, except `status`, the widget and the sizes of passages, which no draft holds.
    """
    check_hours(changes)
    _lock(agent)
    before = _shown(agent)
    if "specialists" in changes:
        changes = {**changes, "specialists": checked_specialists(changes["specialists"], agent=agent)}
    kept = {**(agent.draft or {}), **{name: changes[name] for name in VERSIONED_FIELDS if name in changes}}
    draft = {name: value for name, value in kept.items() if value != getattr(agent, name)}
    if settings_id is not None or choices:
        check_may_configure(actor)
        _draft_settings(actor, agent, settings_id, choices or {})
    agent.draft = draft or None
    agent.save(update_fields=["draft", "draft_settings", "updated_at"])
    record_event(
        actor=actor,
        event_type="agent.draft_saved",
        entity=agent,
        changes=changed_fields(before, _shown(agent)),
    )
    return agent


@transaction.atomic
def discard_draft(*, actor: Principal, agent: Agent) -> Agent:
    """Raises `NoDraftError`."""
    _lock(agent)
    if not agent.has_draft:
        raise NoDraftError(NO_DRAFT)
    before = _shown(agent)
    _drop_draft(agent)
    record_event(
        actor=actor,
        event_type="agent.draft_discarded",
        entity=agent,
        changes=changed_fields(before, _shown(agent)),
    )
    return agent


@transaction.atomic
def publish_draft(*, actor: Principal, agent: Agent, note: str = "") -> AgentVersion:
    """The draft becomes what answers, as a new version. Raises `NoDraftError`."""
    _lock(agent)
    if not agent.has_draft:
        raise NoDraftError(NO_DRAFT)
    before, settings = recorded(agent), agent.draft_settings
    change_agent(actor, agent, agent.draft or {}, agent.draft_settings_id, None)
    if settings is not None and settings.name.startswith(DRAFT_SETTINGS):
        LLMSettings.objects.filter(pk=settings.pk).update(name=agent.name[:120])
    agent.draft, agent.draft_settings = None, None
    agent.save(update_fields=["draft", "draft_settings"])
    version = freeze(agent, actor=actor, note=note)
    if version is None:
        raise VersionUnchangedError("The draft says what is published already. Discard it, or change something first.")
    agent_published.send(sender=Agent, agent=agent, version=version)
    record_event(
        actor=actor,
        event_type="agent.published",
        entity=agent,
        changes={**changed_fields(before, recorded(agent)), "version": (version.number - 1, version.number)},
        risk_level=RiskLevel.MEDIUM,
    )
    return version


@transaction.atomic
def roll_back_agent(*, actor: Principal, agent: Agent, version: AgentVersion) -> AgentVersion:
    """Publish what `version` holds as a new version; a draft stays.

    Raises `VersionUnchangedError`, and `SettingsGoneError` when the key that it used is not stored any more.
    """
    _lock(agent)
    freeze_first(agent)
    # What a version from before fallbacks were frozen does not say stays as it is.
    old = {name: configuration_of(agent)[name] for name in ABSENT} | version.configuration
    if not compare(old, configuration_of(agent)):
        raise VersionUnchangedError(f"Version {version.number} is what is published already.")
    before = recorded(agent)
    changes = {name: old[name] for name in VERSIONED_FIELDS if name in old}
    if "specialists" in changes:
        changes["specialists"] = still_there(changes["specialists"])
    settings = _settings_of(agent, old, version.number)
    change_agent(actor, agent, changes, settings.id if settings != agent.llm_settings else None, None)
    version_restored.send(sender=Agent, agent=agent, configuration=old)
    made = freeze(agent, actor=actor, note=f"Rolled back to version {version.number}.", restored_number=version.number)
    if made is None:  # what differs cannot be brought back, such as a dataset that is no more
        raise VersionUnchangedError(f"Nothing of version {version.number} that differs is there any more.")
    agent_published.send(sender=Agent, agent=agent, version=made)
    record_event(
        actor=actor,
        event_type="agent.rolled_back",
        entity=agent,
        changes={**changed_fields(before, recorded(agent)), "version": (made.number - 1, made.number)},
        risk_level=RiskLevel.MEDIUM,
    )
    return made


def _lock(agent: Agent) -> None:
    """Whoever drafts or publishes the same agent waits; what others have saved meanwhile is read."""
    Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
    agent.refresh_from_db()
    agent.llm_settings = settings_by_id(agent.llm_settings_id)
    if agent.draft_settings_id is not None:
        agent.draft_settings = settings_by_id(agent.draft_settings_id)


def _shown(agent: Agent) -> dict[str, Any]:
    """The draft as the audit log shows it; its secrets are left out there."""
    shown = drafted(agent)
    return fields_of(shown, VERSIONED_FIELDS) | fields_of(shown.llm_settings, COPIED_FIELDS)


def _draft_settings(actor: Principal, agent: Agent, settings_id: uuid.UUID | None, choices: Mapping[str, Any]) -> None:
    """Give the draft settings that are there, or change its own, which are a copy of those that are published."""
    current = agent.draft_settings
    if settings_id is not None:
        agent.draft_settings = None if settings_id == agent.llm_settings_id else settings_by_id(settings_id)
        _delete_if_own(agent, current)
        return
    if not _is_own(current):
        base = current or agent.llm_settings
        current = LLMSettings(**{name: getattr(base, name) for name in COPIED_FIELDS}, is_default=False)
        current.name = f"{DRAFT_SETTINGS}{agent.name}"[:120]
        current.save()
    assert current is not None  # noqa: S101  # one's own is some
    wanted = {name: value for name, value in choices.items() if name not in {"is_default", "name"}}
    agent.draft_settings = change_settings(actor, current, wanted)


def _is_own(settings: LLMSettings | None) -> bool:
    return settings is not None and settings.name.startswith(DRAFT_SETTINGS)


def _drop_draft(agent: Agent) -> None:
    settings, agent.draft, agent.draft_settings = agent.draft_settings, None, None
    agent.save(update_fields=["draft", "draft_settings", "updated_at"])
    _delete_if_own(agent, settings)


def _delete_if_own(agent: Agent, settings: LLMSettings | None) -> None:
    """A key that was typed for a draft does not stay when the draft goes."""
    if settings is None or not _is_own(settings) or settings == agent.draft_settings:
        return
    settings_deleting.send(sender=LLMSettings, settings=settings)
    Agent.objects.filter(pk=agent.pk, draft_settings=settings).update(draft_settings=None)
    settings.delete()


def _settings_of(agent: Agent, old: Mapping[str, Any], number: int) -> LLMSettings:
    """Settings with the parameters that a version froze: the agent's or its own of then, or a copy of those with them.

    A stored key is used again only for the provider and the address that it was stored for.
    """
    kept = settings_to_restore(old)
    candidates = [row for row in (agent.llm_settings, kept) if row is not None]
    for row in candidates:
        if not compare(_frozen(old), settings_configuration(row)):
            return row
    made = LLMSettings(name=agent.name[:120], is_default=False)
    base = candidates[-1]
    for name in ("widget_script_url", "widget_config"):
        setattr(made, name, getattr(base, name))
    for name in FROZEN_SETTINGS:
        setattr(made, name, old[name])
    known = LLMSettings.objects.filter(pk__in=old["fallback_ids"]).values_list("pk", flat=True)
    made.fallback_ids = [key for key in map(uuid.UUID, old["fallback_ids"]) if key in set(known)]
    for part, kind in (("llm", ModelKind.LLM), ("embedding", ModelKind.EMBEDDING)):
        provider = find_provider(old[f"{part}_provider"])
        model = find_model(provider, old[f"{part}_model"], kind) if provider else None
        if provider is None or model is None:
            raise SettingsGoneError(f"The model {old[f'{part}_model']!r} of version {number} is not offered any more.")
        setattr(made, f"{part}_provider", provider)
        setattr(made, f"{part}_model", model)
        same = [row for row in candidates if _reaches_the_same(row, made, part)]
        if not same and provider.requires_api_key:
            raise SettingsGoneError(
                f"Version {number} used {provider.label} with an API key that is not stored any more. "
                "Choose this provider in a draft, enter a key and publish it."
            )
        for name in (f"{part}_api_key", f"{part}_additional_params") if same else ():
            value = getattr(same[0], name)
            # Parameters that are secrets were not frozen.
            setattr(made, name, {**value, **old[name]} if isinstance(value, dict) else value)
    made.save()
    return made


def _reaches_the_same(row: LLMSettings, made: LLMSettings, part: str) -> bool:
    names = (f"{part}_provider_id", f"{part}_api_base_url")
    return all(getattr(row, name) == getattr(made, name) for name in names)


def _frozen(configuration: Mapping[str, Any]) -> dict[str, Any]:
    names = (*FROZEN_SETTINGS, "llm_provider", "llm_model", "embedding_provider", "embedding_model")
    return {name: configuration[name] for name in names if name in configuration}
