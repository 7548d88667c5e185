"""The dashboard's pages on which a company reads what was said to its agents."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from agents.selectors import agents_list, get_agent
from conversations import selectors, services
from conversations.enums import ConversationStatus, EntityType, Feedback
from conversations.models import Conversation, Message
from conversations.records import message_record
from tenants.pages import PageRequest, as_uuid, company_page, errors_as_messages, page_of, query_text, way_back
from tenants.services import principal_of

PER_PAGE = 25
SHOWN_MESSAGES = 200  # of a long conversation, at once
POSITION = re.compile(r"[0-9]{1,9}")

STAGES = {"retrieval": "Retrieval", "first_token": "First token", "generation": "Writing"}
SHOW = {
    "": "All open",
    "unanswered": "With unanswered questions",
    "good": "Rated well",
    "bad": "Rated badly",
    "failed": "With failed answers",
    "archived": "Closed",
    "deleted": "Archived",
}
WITH = {"": "Anybody", EntityType.LEAD.value: "Visitors", EntityType.USER.value: "Your team"}


@company_page
def conversations(request: PageRequest) -> HttpResponse:
    show, whose = query_text(request, "show"), query_text(request, "with")
    agent, tag = as_uuid(query_text(request, "agent")), query_text(request, "tag")
    status = show if show in {ConversationStatus.CLOSED, ConversationStatus.ARCHIVED} else ConversationStatus.ACTIVE
    rows = selectors.with_highlights(
        selectors.conversations_with(principal_of(request.user), search=query_text(request, "q"), status=status)
    )
    rows = selectors.with_first_questions(rows)
    if agent:
        rows = rows.filter(agent=agent)
    if whose in EntityType.values:
        rows = rows.filter(entity_type=whose)
    if tag:
        rows = rows.filter(tags__contains=[tag])
    context = {
        "page_obj": page_of(request, _narrowed(rows, show), per_page=PER_PAGE),
        "agents": agents_list().only("id", "name"),
        "chosen_agent": agent,
        "show_choices": SHOW,
        "with_choices": WITH,
        "is_filtered": any(request.GET.get(name) for name in ("q", "show", "with", "agent", "tag")),
    }
    return render(request, "conversations/list.html", context)


def _narrowed(rows: QuerySet[Conversation], show: str) -> QuerySet[Conversation]:
    wanted = {
        "unanswered": Q(has_unanswered=True),
        "failed": Q(has_failure=True),
        "good": Q(best_feedback=Feedback.GOOD),
        "bad": Q(worst_feedback=Feedback.BAD),
    }
    return rows.filter(wanted[show]) if show in wanted else rows


class ConversationForm(forms.Form):
    title = forms.CharField(max_length=200)
    tags = forms.CharField(required=False, max_length=1000, help_text="Separated by commas.")

    def tag_list(self) -> list[str]:
        return str(self.cleaned_data["tags"]).split(",")


@company_page
def conversation(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_conversation(principal_of(request.user), pk, include_archived=True)
    if request.method == "POST":
        form = ConversationForm(request.POST)
        if form.is_valid():
            with errors_as_messages(request):
                title, tags = form.cleaned_data["title"], form.tag_list()
                services.update_conversation(
                    actor=principal_of(request.user), conversation=found, title=title, tags=tags
                )
                messages.success(request, "Saved.")
            return redirect("conversation", pk)
    else:
        form = ConversationForm(initial={"title": found.title, "tags": ", ".join(found.tags)})
    before = query_text(request, "before")
    rows, earlier = _page_before(found, int(before) if POSITION.fullmatch(before) else None)
    context = {
        "conversation": found,
        "agent": found.agent,
        "form": form,
        "chat_messages": [_shown(row) for row in rows],
        "earlier": earlier,
        "is_newest": not before,
        "api_base": "/api/v1",
    }
    return render(request, "conversations/detail.html", context)


def _page_before(conversation: Conversation, position: int | None) -> tuple[list[Message], int | None]:
    """The last messages, or those before a place, oldest first; and the place before which there are more."""
    rows = selectors.messages_of(conversation).prefetch_related("decisions").order_by("-position")
    if position is not None:
        rows = rows.filter(position__lt=position)
    found = list(rows[: SHOWN_MESSAGES + 1])
    shown = found[:SHOWN_MESSAGES][::-1]
    return shown, shown[0].position if len(found) > SHOWN_MESSAGES else None


def _shown(message: Message) -> dict[str, Any]:
    """The record with what only the company may know of an answer."""
    timings = {name: message.timings[stage] for stage, name in STAGES.items() if stage in message.timings}
    shown = {"content": message.error or message.for_team, "timings": timings, "when": message.created_at}
    return {**message_record(message), **shown, "decisions": [*message.decisions.all()]}


@require_POST
@company_page
def close(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _set_status(request, pk, ConversationStatus.CLOSED, "Closed.")


@require_POST
@company_page
def reopen(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _set_status(request, pk, ConversationStatus.ACTIVE, "Open again.")


@require_POST
@company_page
def close_all(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Those with one agent, so that it can be archived."""
    closed, left = services.close_conversations(actor=principal_of(request.user), agent=get_agent(pk))
    said = {0: "No conversation was open.", 1: "One conversation was closed."}.get(
        closed, f"{closed:,} conversations were closed."
    )
    messages.success(request, f"{said} {left:,} are left: close them too." if left else said)
    return redirect(f"{reverse('agent', args=[pk])}?tab=conversations")


def _set_status(request: PageRequest, pk: uuid.UUID, status: ConversationStatus, said: str) -> HttpResponse:
    actor = principal_of(request.user)
    found = selectors.get_conversation(actor, pk)
    services.update_conversation(actor=actor, conversation=found, status=status)
    messages.success(request, said)
    return way_back(request, "conversations")
