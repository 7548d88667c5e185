"""What the console does to a company's own rows, and the collecting of metrics on demand."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django_tenants.utils import tenant_context

from agents.enums import AgentStatus
from agents.models import Agent
from agents.selectors import get_agent
from agents.services import update_agent
from analytics import metrics, tasks
from analytics.selectors.companies import company_behind_agent, company_behind_document
from documents.selectors import get_document
from documents.services import archive_document
from knowrithm.jobs import create_task, enqueue
from knowrithm.principal import Principal
from tenants.models import Company

AGENT_FIELDS = ("name", "description", "status")
MODEL_FIELDS = {"model_name": "llm_model", "temperature": "llm_temperature", "max_tokens": "llm_max_tokens"}


def update_any_agent(*, actor: Principal, agent_id: uuid.UUID, changes: Mapping[str, Any]) -> tuple[Company, Agent]:
    """Change an agent of any company through the agents' own service. `is_active` stands for active and inactive."""
    company = company_behind_agent(agent_id)
    fields = {name: changes[name] for name in AGENT_FIELDS if name in changes}
    if "is_active" in changes and "status" not in changes:
        fields["status"] = AgentStatus.ACTIVE if changes["is_active"] else AgentStatus.INACTIVE
    choices = {choice: changes[name] for name, choice in MODEL_FIELDS.items() if name in changes}
    with tenant_context(company):
        agent = get_agent(agent_id, include_archived=True)
        return company, update_agent(actor=actor, agent=agent, changes=fields, choices=choices)


def archive_any_document(*, actor: Principal, document_id: uuid.UUID) -> int:
    """Archive a document of any company. Returns the number of its chunks; raises `NotFoundError`."""
    with tenant_context(company_behind_document(document_id)):
        return archive_document(actor=actor, document=get_document(document_id))


def request_metrics(*, actor: Principal) -> str:
    """Have a worker read the current company's metrics now; the id of the task that a client polls."""
    task_id = create_task()
    enqueue(tasks.collect_requested, task_id)
    return task_id


def collect_platform_metrics(*, actor: Principal) -> int:
    """For a super admin, who has no company whose task it could be: at once, in a few queries."""
    return metrics.collect_platform()
