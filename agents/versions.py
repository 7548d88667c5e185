"""Versions of agents: what is frozen when one is published, and what tells two of them apart."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from agents.catalog.models import ModelKind
from agents.catalog.selectors import find_model, find_provider
from agents.models import MODEL_RELATIONS, Agent, AgentVersion, LLMSettings
from agents.signals import agent_freezing
from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal
from tenants.audit.services import CREDENTIALS_IN_URL, SECRET_NAME, changed_fields

# What a draft holds and a version freezes. Not `status`, which is switched at once, nor how documents are cut into
# chunks, which concerns the documents.
VERSIONED_FIELDS = (
    "name", "description", "avatar_url", "personality_traits", "answer_length", "capabilities", "operating_hours",
    "languages", "welcome_text", "starter_questions", "retrieval_top_k", "retrieval_dense_weight",
    "retrieval_threshold", "handover", "suggests_follow_ups", "specialists",
)  # fmt: skip
FROZEN_SETTINGS = (
    "llm_api_base_url", "llm_temperature", "llm_max_tokens", "llm_additional_params", "embedding_api_base_url",
    "embedding_dimension", "embedding_additional_params", "fallback_ids", "fallback_after",
)  # fmt: skip
# What versions from before these fields say of them.
ABSENT: dict[str, Any] = {"fallback_ids": [], "fallback_after": 2.5, "handover": {}}
NOT_COMPARED = frozenset({"dataset_names", "llm_settings_id"})  # names as they were then; the same settings by a copy
LABELS = {
    "name": "Name", "description": "Description", "avatar_url": "Picture", "personality_traits": "Tone",
    "answer_length": "Length of answers", "capabilities": "Capabilities", "operating_hours": "Operating hours",
    "handover": "Handing over to people",
    "languages": "Languages", "welcome_text": "Welcome", "starter_questions": "Starter questions",
    "retrieval_top_k": "Passages", "retrieval_dense_weight": "Share of meaning",
    "retrieval_threshold": "Evidence needed", "llm_provider": "Provider", "llm_model": "Model",
    "llm_api_base_url": "Base URL", "llm_temperature": "Temperature", "llm_max_tokens": "Longest answer",
    "llm_additional_params": "Model parameters", "embedding_provider": "Embedding provider",
    "embedding_model": "Embedding model", "embedding_api_base_url": "Embedding base URL",
    "embedding_dimension": "Dimensions", "embedding_additional_params": "Embedding parameters",
    "fallback_ids": "When it fails", "fallback_after": "Patience", "suggests_follow_ups": "Follow-up suggestions",
    "specialists": "Specialists", "datasets": "Datasets",
}  # fmt: skip

Configuration = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """`before` and `after` are the configuration's values."""

    field: str
    label: str
    before: Any
    after: Any


def settings_configuration(settings: LLMSettings) -> Configuration:
    """Which models answer and embed and how, without the keys."""
    frozen = {name: without_secrets(getattr(settings, name)) for name in FROZEN_SETTINGS}
    for relation in MODEL_RELATIONS:
        row = getattr(settings, relation)
        frozen[relation] = row.slug if relation.endswith("provider") else row.name
    return frozen


def configuration_of(agent: Agent) -> Configuration:
    """How the agent answers, JSON-ready: its own fields, its models' parameters and what higher apps add."""
    configuration = {name: getattr(agent, name) for name in VERSIONED_FIELDS}
    configuration |= settings_configuration(agent.llm_settings)
    configuration["llm_settings_id"] = str(agent.llm_settings_id)
    answers: Any = agent_freezing.send(sender=Agent, agent=agent)  # declared as texts by the stubs
    for _, added in answers:
        configuration |= added
    return configuration


def without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_secrets(inner) for name, inner in value.items() if not SECRET_NAME.search(name.lower())}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    if isinstance(value, uuid.UUID):
        return str(value)
    return CREDENTIALS_IN_URL.sub("[redacted]", value) if isinstance(value, str) else value


def freeze(
    agent: Agent, *, actor: Principal | None, note: str = "", restored_number: int | None = None
) -> AgentVersion | None:
    """Make a version of the agent as its row is now, in the caller's transaction; None where nothing has changed."""
    # Locked and read anew: whoever published at the same time is in it, and numbers have no gaps.
    row = Agent.objects.with_settings().select_for_update(of=("self",), no_key=True).get(pk=agent.pk)
    configuration = configuration_of(row)
    last = AgentVersion.objects.filter(agent=row, number=row.version).first() if row.version else None
    agent.version = row.version
    if last is not None and not compare(last.configuration, configuration):
        return None
    agent.version = row.version + 1
    version = AgentVersion(
        agent=row,
        number=agent.version,
        configuration=configuration,
        note=note.strip()[:500],
        restored_number=restored_number,
        published_by_id=actor.id if actor else None,
        published_by=actor.label[:254] if actor else "",
    )
    version.save(force_insert=True)
    Agent.objects.filter(pk=row.pk).update(version=agent.version)
    return version


def freeze_first(agent: Agent) -> None:
    """Before an agent older than versions is changed for the first time: what it was can be rolled back to."""
    if agent.version == 0:
        freeze(agent, actor=None, note="As it was before versions were kept.")


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """What differs between two configurations, in the order of the editor."""
    differing = changed_fields(_plain(before), _plain(after))
    order = list(LABELS)
    named = sorted(differing, key=lambda name: order.index(name) if name in LABELS else len(order))
    return [FieldChange(name, LABELS.get(name, name), *differing[name]) for name in named]


def changed_labels(agent: Agent, numbers: Sequence[int]) -> dict[int, list[str]]:
    """What each version of these numbers changed of the one before it, in one query; nothing of one without any."""
    wanted = {*numbers, *(number - 1 for number in numbers)}
    rows = AgentVersion.objects.filter(agent=agent, number__in=wanted).values_list("number", "configuration")
    kept = dict(rows)
    return {
        number: [change.label for change in compare(kept[number - 1], kept[number])] if number - 1 in kept else []
        for number in numbers
    }


def _plain(configuration: Mapping[str, Any]) -> Configuration:
    return {name: value for name, value in {**ABSENT, **configuration}.items() if name not in NOT_COMPARED}


def get_version(agent: Agent, number: int) -> AgentVersion:
    """Raises `NotFoundError`."""
    version: AgentVersion | None = AgentVersion.objects.filter(agent=agent, number=number).first()
    if version is None:
        raise NotFoundError("There is no such version.")
    return version


def drafted(agent: Agent) -> Agent:
    """The agent as its draft would make it. A copy to be read, never to be saved."""
    shown = copy(agent)
    for name, value in (agent.draft or {}).items():
        setattr(shown, name, value)
    if agent.draft_settings_id is not None:
        shown.llm_settings = LLMSettings.objects.with_models().get(pk=agent.draft_settings_id)
    return shown


def configuration_named(agent: Agent, which: str) -> Configuration:
    """Of the version of this number, or of the `draft`. Raises `NotFoundError`."""
    if which == "draft":
        return configuration_of(drafted(agent))
    number = int(which) if which.isascii() and which.isdigit() and len(which) < 10 else 0
    configuration: Configuration = get_version(agent, number).configuration
    return configuration


def settings_to_restore(configuration: Mapping[str, Any]) -> LLMSettings | None:
    """The settings row that a version used, if it is still there. Its parameters may have been changed since."""
    settings_id = uuid.UUID(configuration["llm_settings_id"])
    row: LLMSettings | None = LLMSettings.objects.with_models().filter(pk=settings_id).first()
    return row


# What an answer keeps of the model that gave it.
KEPT_OF_MODEL = ("llm_api_base_url", "llm_temperature", "llm_max_tokens", "llm_additional_params")


def model_kept(settings: LLMSettings) -> Configuration:
    """Which model these settings ask and how, JSON-ready and without the key."""
    return {
        "settings_id": str(settings.pk),
        "provider": settings.llm_provider.slug,
        "model": settings.llm_model.name,
        **{name.removeprefix("llm_"): without_secrets(getattr(settings, name)) for name in KEPT_OF_MODEL},
    }


def model_again(kept: Mapping[str, Any]) -> LLMSettings | None:
    """Unsaved settings that ask the same model in the same way; None where the company cannot any more.

    A stored key is used only for the provider and the address that it was stored for.
    """
    provider = find_provider(kept["provider"])
    model = find_model(provider, kept["model"], ModelKind.LLM) if provider else None
    if provider is None or model is None:
        return None
    rows = LLMSettings.objects.with_models().filter(llm_provider=provider, llm_api_base_url=kept["api_base_url"])
    same = sorted(rows, key=lambda row: str(row.pk) != kept["settings_id"])  # these very settings, if they are there
    if not same and provider.requires_api_key:
        return None
    made = copy(same[0]) if same else LLMSettings(llm_api_base_url=kept["api_base_url"])
    made.llm_provider, made.llm_model = provider, model
    made.llm_temperature, made.llm_max_tokens = kept["temperature"], kept["max_tokens"]
    made.llm_additional_params = {**made.llm_additional_params, **kept["additional_params"]}  # secrets were not kept
    return made
