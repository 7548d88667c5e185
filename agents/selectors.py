from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet

from agents.catalog.models import ProviderModel
from agents.enums import AskedField
from agents.models import Agent, LeadField, LLMSettings
from agents.versions import drafted
from agents.widget_settings import widget_settings
from knowrithm.db.compiled import ANY_ID, OTHER_ID, CompiledQuery
from knowrithm.errors import NotFoundError
from tenants import credentials
from tenants.models import Company

# What a list shows of the settings: as whole rows they would take as long as all the rest of it.
SHOWN_SETTINGS = {
    "model_name": F("llm_settings__llm_model__name"),
    "temperature": F("llm_settings__llm_temperature"),
    "max_tokens": F("llm_settings__llm_max_tokens"),
}


def agents_page(*, search: str = "", status: str = "") -> QuerySet[Agent] | CompiledQuery[Agent]:
    """`agents_list`, for a page of it. Hardly anybody filters."""
    return agents_list(search=search, status=status) if search or status else _ALL_AGENTS


def agents_list(*, search: str = "", status: str = "", is_archived: bool = False) -> QuerySet[Agent]:
    rows = Agent.objects.annotate(**SHOWN_SETTINGS)
    rows = rows.archived() if is_archived else rows.live()
    if status:
        rows = rows.filter(status=status)
    if search:
        rows = rows.filter(name__icontains=search)
    found: QuerySet[Agent] = rows
    return found


_ALL_AGENTS: CompiledQuery[Agent] = CompiledQuery(agents_list)


_AGENT: CompiledQuery[Agent] = CompiledQuery(lambda: Agent.objects.live().filter(pk=ANY_ID))


_AGENT_WITH_SETTINGS: CompiledQuery[Agent] = CompiledQuery(
    lambda: Agent.objects.select_related("llm_settings").filter(pk=ANY_ID)
)


_AGENT_WITH_MODELS: CompiledQuery[Agent] = CompiledQuery(lambda: Agent.objects.with_settings().filter(pk=ANY_ID))


_TWO_MODELS: CompiledQuery[ProviderModel] = CompiledQuery(
    lambda: ProviderModel.objects.select_related("provider").filter(pk__in=[ANY_ID, OTHER_ID])
)


def agent_to_answer(agent_id: uuid.UUID, *, is_draft: bool = False) -> Agent:
    """An agent with its models, in two queries: PostgreSQL plans one join of six tables for longer than it runs.

    `is_draft` gives it as its draft would make it: what is published, where there is none any more.
    """
    agent = _AGENT_WITH_SETTINGS.get(agent_id)
    if agent is None:
        raise Agent.DoesNotExist
    if is_draft:
        return drafted(agent)
    settings = agent.llm_settings
    models = {model.pk: model for model in _TWO_MODELS.of(settings.llm_model_id, settings.embedding_model_id)}
    for kind in ("llm", "embedding"):
        model = models[getattr(settings, f"{kind}_model_id")]
        setattr(settings, f"{kind}_model", model)
        setattr(settings, f"{kind}_provider", model.provider)
    return agent


def settings_in_order(settings: LLMSettings) -> list[LLMSettings]:
    """These and the ones that they fall back on, in the order in which their models are asked."""
    if not settings.fallback_ids:
        return [settings]
    rows = LLMSettings.objects.with_models().filter(is_active=True).in_bulk(settings.fallback_ids)
    return [settings, *(rows[key] for key in settings.fallback_ids if key in rows)]


def get_agent(agent_id: uuid.UUID, *, include_archived: bool = False) -> Agent:
    """An agent of the current company. Raises `NotFoundError`, also for another company's."""
    agent = _AGENT_WITH_MODELS.get(agent_id)
    if agent is None or (agent.is_archived and not include_archived):
        raise NotFoundError("There is no such agent.")
    return agent


def agent_without_settings(agent_id: uuid.UUID) -> Agent:
    """`get_agent` for who only wants to talk to it."""
    agent = _AGENT.get(agent_id)
    if agent is None:
        raise NotFoundError("There is no such agent.")
    return agent


def company_of_agent(agent_id: uuid.UUID) -> Company:
    """The company behind a public agent id. Raises `NotFoundError`, also when the company is not usable."""
    company = credentials.company_of_agent(agent_id)
    if company is None or not company.is_usable:
        raise NotFoundError("There is no such agent.")
    return company


def lead_fields() -> list[LeadField]:
    """Those that the company has defined for its leads, in their order, without archived ones."""
    return list(LeadField.objects.live())


def asked_lead_fields(widget: Mapping[str, Any]) -> list[LeadField]:
    """The company's own fields that an agent with this `widget` asks its visitors for. No query where it asks none."""
    keys = [key for key, asked in widget.get("custom_fields", {}).items() if asked != AskedField.HIDDEN]
    return list(LeadField.objects.live().filter(key__in=keys)) if keys else []


def script_tag(agent_id: uuid.UUID) -> str:
    """What puts an agent on a site, without options."""
    return f"<script {_required(agent_id)} async></script>"


def _required(agent_id: uuid.UUID) -> str:
    base = settings.BASE_URL
    return f'src="{base}/api/widget.js" data-agent-id="{agent_id}" data-api-url="{base}/api"'


def embed_code(agent: Agent) -> dict[str, Any]:
    """The script tag that puts an agent on a site, short and with every option."""
    required = _required(agent.pk)
    looks = widget_settings(agent.widget)
    options = {"data-primary-color": looks["color"], "data-position": looks["position"], "data-theme": looks["theme"]}
    listed = "\n        ".join(f'{name}="{value}"' for name, value in options.items())
    simple = script_tag(agent.pk)
    return {
        "agent_id": agent.id,
        "agent_name": agent.name,
        "simple": simple,
        "embed_code": simple,
        "advanced": f"<script {required}\n        {listed} async></script>",
        "config": {name.removeprefix("data-").replace("-", "_"): value for name, value in options.items()},
        "preview_url": f"{settings.BASE_URL}/agents/{agent.id}/preview",
    }
