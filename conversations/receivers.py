from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver
from django_tenants.utils import tenant_context

from agents.models import Agent
from agents.signals import agent_archiving, agent_cloned
from conversations import handing, tasks
from conversations.enums import ConversationStatus, Owner
from conversations.exceptions import AgentInUseError
from conversations.models import Citation, Conversation, Guardrail
from documents.signals import documents_purging
from integrations.enums import EventType
from integrations.services import publish_event
from knowrithm.jobs import enqueue
from leads.models import Lead
from leads.selectors import custom_fields_of
from leads.signals import lead_registered, lead_status_changed, lead_updated, score_rules_changed
from tenants.models import Company, User
from tenants.signals import person_left


@receiver(agent_archiving)
def refuse_while_conversations_are_active(*, agent: Agent, **_: Any) -> None:
    """Those that were closed do not count: visitors leave them behind, and nobody would ever be done."""
    count = Conversation.objects.live().filter(agent=agent, status=ConversationStatus.ACTIVE).count()
    if count:
        has = "an active conversation" if count == 1 else f"{count} active conversations"
        raise AgentInUseError(f"This agent has {has}. Close or archive {'it' if count == 1 else 'them'} first.")


@receiver(agent_cloned)
def guard_the_copy(*, source: Agent, clone: Agent, **_: Any) -> None:
    """A copy with the same knowledge is guarded like the original: guardrails say what of it may be told."""
    for guardrail in Guardrail.objects.filter(agent_ids__contains=[source.pk]):
        guardrail.agent_ids = [*guardrail.agent_ids, clone.pk]
        guardrail.save(update_fields=["agent_ids", "updated_at"])


@receiver(documents_purging)
def keep_what_answers_cite(*, document_ids: Sequence[uuid.UUID], **_: Any) -> set[uuid.UUID]:
    """A version that a reader may still want to look up beside the answer."""
    cited = Citation.objects.filter(document__in=document_ids, is_cited=True)
    return {pk for pk in cited.order_by().values_list("document_id", flat=True).distinct() if pk}


@receiver(person_left)
def leave_their_conversations(*, user: User, company: Company | None, **_: Any) -> None:
    """Or the visitors would go on writing to somebody who cannot read it. The agent answers what is open."""
    if company is None:
        return
    with tenant_context(company):
        rows = Conversation.objects.live().select_related("agent", "lead__merged_into").select_for_update(of=("self",))
        for conversation in rows.filter(owner=Owner.PERSON, person_id=user.pk):
            handing.leave(conversation)
            if reply := handing.take_up_question(conversation):
                enqueue(tasks.answer, str(reply.pk), expires=3600)


@receiver(lead_registered)
def tell_of_lead(*, lead: Lead, **_: Any) -> None:
    publish_event(EventType.LEAD_CREATED, _lead_record(lead), agent_id=lead.agent_id)
    enqueue(tasks.tell_of_lead, str(lead.pk))  # the team is told by a worker: many visitors may register


@receiver(lead_updated)
def tell_of_changed_lead(*, lead: Lead, fields: Sequence[str], **_: Any) -> None:
    publish_event(EventType.LEAD_UPDATED, {**_lead_record(lead), "changed": list(fields)}, agent_id=lead.agent_id)


@receiver(lead_status_changed)
def tell_of_status(*, lead: Lead, from_status: str, to_status: str, **_: Any) -> None:
    record = {**_lead_record(lead), "from_status": from_status, "to_status": to_status}
    publish_event(EventType.LEAD_STATUS_CHANGED, record, agent_id=lead.agent_id)


@receiver(score_rules_changed)
def score_everybody_anew(**_: Any) -> None:
    enqueue(tasks.score_leads)


def _lead_record(lead: Lead) -> dict[str, Any]:
    names = ("first_name", "last_name", "email", "phone", "source", "status", "consent_marketing", "created_at")
    return {
        "lead_id": lead.pk,
        "agent_id": lead.agent_id,
        **{name: getattr(lead, name) for name in names},
        "custom_fields": custom_fields_of(lead),
    }
