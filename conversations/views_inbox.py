"""The inbox: where the company's people talk with visitors. What is new is told by an event stream (sse.py)."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from conversations import selectors, services, streams
from conversations.enums import Owner
from conversations.handing import mail_address_of
from conversations.models import CannedReply, Conversation, Message
from conversations.records import source_record
from conversations.scores import score_of
from conversations.selectors_inbox import canned_replies, count_waiting, get_handover, handovers_of, thread_of
from conversations.selectors_inbox import inbox as inbox_rows
from integrations.notifications.selectors import unread_of
from knowrithm.jobs import current_schema
from leads.models import LeadConsent
from tenants.pages import (
    PageRequest,
    as_uuid,
    company_page,
    errors_as_messages,
    errors_in,
    page_of,
    post_data,
    query_text,
    way_back,
)
from tenants.selectors import people_for
from tenants.services import principal_of

PER_PAGE = 50
SHOWN_MESSAGES = 200  # of a long conversation, the last ones
SHOWN_FACTS = 12
SHOW = {"open": "Open", "waiting": "Waiting", "mine": "Mine", "closed": "Closed"}


@company_page
def inbox(request: PageRequest) -> HttpResponse:
    """`part` is list or thread, for the page's script; without it the whole page."""
    show = query_text(request, "show")
    show = show if show in SHOW else "open"
    after = streams.newest_inbox_id(current_schema())  # before anything is read
    part, chosen = query_text(request, "part"), as_uuid(query_text(request, "conversation"))
    context: dict[str, Any] = {"show": show, "show_choices": SHOW, "chosen": chosen, "api_base": "/api/v1"}
    if part != "thread":
        context["page_obj"] = page_of(request, inbox_rows(principal_of(request.user), show=show), per_page=PER_PAGE)
    if part != "list" and chosen:
        context |= _thread(request, chosen)
    if part == "list":
        return render(request, "inbox/_list.html", context)
    if part == "thread":
        return render(request, "inbox/_thread.html", context)
    context |= {
        "after": after,
        "replies": canned_replies(),
        "is_away": _presence_of(request, [request.user.pk]) == ["away"],
    }
    return render(request, "inbox/inbox.html", context)


def _thread(request: PageRequest, conversation_id: uuid.UUID) -> dict[str, Any]:
    actor = principal_of(request.user)
    conversation = selectors.get_conversation(actor, conversation_id)
    handover = get_handover(conversation)
    people = list(people_for(actor).filter(status="active", archived_at=None).order_by("first_name", "email"))
    context: dict[str, Any] = {
        "conversation": conversation,
        "thread": _with_sources(thread_of(conversation, newest=SHOWN_MESSAGES)),
        "handover": handover,
        "handovers": handovers_of(conversation)[:10],
        "is_mine": conversation.owner == Owner.PERSON and conversation.person_id == request.user.pk,
        "people": list(zip(people, _presence_of(request, [user.pk for user in people]), strict=True)),
        "facts": _facts(conversation),
        "address": mail_address_of(conversation, handover),
    }
    if conversation.lead:
        lead = conversation.lead.person
        merged = list(lead.merged.all())
        context |= {
            "lead": lead,
            "score": score_of(lead, merged),
            "consents": LeadConsent.objects.filter(lead=lead, is_unproven=False).order_by("-created_at")[:4],
            "is_here": streams.is_present(streams.visitor_key(current_schema(), conversation.pk)),
        }
    return context


def _with_sources(rows: list[Any]) -> list[Any]:
    for row in rows:
        if isinstance(row, Message):
            row.sources = [source_record(citation) for citation in row.citations.all()]  # type: ignore[attr-defined]  # for the page
    return rows


def _presence_of(request: PageRequest, user_ids: list[uuid.UUID]) -> list[str]:
    found = streams.presence_of(current_schema(), user_ids)
    return [found[user_id] for user_id in user_ids]


def _facts(conversation: Conversation) -> list[tuple[str, str]]:
    """What the widget has said of the visitor's page."""
    return [
        (str(name).replace("_", " ").capitalize()[:60], str(value)[:300])
        for name, value in list(conversation.metadata.items())[:SHOWN_FACTS]
        if isinstance(value, str | int | float) and str(value)
    ]


@company_page
def marks(request: PageRequest) -> HttpResponse:
    """What every page shows of what waits: for the bell and for the navigation."""
    actor = principal_of(request.user)
    context = {"unread": unread_of(actor).count(), "waiting": count_waiting(actor)}
    return render(request, "inbox/_marks.html", context)


# --- Who has it ---------------------------------------------------------------------------------------------------


@require_POST
@company_page
def take(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        services.take_conversation(actor=principal_of(request.user), conversation_id=pk)
    return _to(pk)


@require_POST
@company_page
def assign(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    actor = principal_of(request.user)
    selectors.get_conversation(actor, pk)
    if user_id := as_uuid(request.POST.get("user_id", "")):
        with errors_as_messages(request):
            given = services.assign_conversation(actor=actor, conversation_id=pk, user_id=user_id)
            messages.success(request, f"{given.person_name} has this conversation now.")
    return _to(pk)


@require_POST
@company_page
def back(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        summary = request.POST.get("summary", "").replace("\0", "")
        services.hand_back(actor=principal_of(request.user), conversation_id=pk, summary=summary)
        messages.success(request, "The agent answers again.")
    return redirect("inbox")


@require_POST
@company_page
def close(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        services.close_conversation(actor=principal_of(request.user), conversation_id=pk)
        messages.success(request, "The conversation is closed.")
    return redirect("inbox")


@require_POST
@company_page
def write(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """A message to the visitor, or a private note. The page's script sends both through the API."""
    actor, text = principal_of(request.user), request.POST.get("message", "")
    selectors.get_conversation(actor, pk)
    with errors_as_messages(request):
        if request.POST.get("is_note"):
            services.add_note(actor=actor, conversation_id=pk, text=text)
        else:
            services.send_as_person(actor=actor, conversation_id=pk, text=text)
    return _to(pk)


@require_POST
@company_page
def presence(request: PageRequest) -> HttpResponse:
    is_away = request.POST.get("is_away") == "1"
    services.set_presence(actor=principal_of(request.user), is_away=is_away)
    messages.success(request, "You are shown as away." if is_away else "You are shown as online.")
    return way_back(request, "inbox")


def _to(conversation_id: uuid.UUID) -> HttpResponse:
    return redirect(f"{reverse('inbox')}?conversation={conversation_id}")


# --- Canned replies -----------------------------------------------------------------------------------------------


class CannedReplyForm(forms.Form):
    shortcut = forms.CharField(max_length=41, help_text="Typed after a slash, such as /hours.")
    text = forms.CharField(max_length=16_000, widget=forms.Textarea({"rows": 4}))


@company_page
def replies(request: PageRequest) -> HttpResponse:
    form = CannedReplyForm(post_data(request))
    if request.method == "POST" and form.is_valid():
        with errors_in(form):
            services.create_canned_reply(actor=principal_of(request.user), **form.cleaned_data)
            messages.success(request, "Saved.")
            return redirect("canned-replies")
    return render(request, "inbox/replies.html", {"form": form, "replies": canned_replies()})


@company_page
def reply(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found: CannedReply = selectors.get_canned_reply(pk)
    form = CannedReplyForm(post_data(request), initial={"shortcut": found.shortcut, "text": found.text})
    if request.method == "POST" and form.is_valid():
        with errors_in(form):
            services.update_canned_reply(actor=principal_of(request.user), reply_id=pk, **form.cleaned_data)
            messages.success(request, "Saved.")
            return redirect("canned-replies")
    return render(request, "inbox/reply.html", {"form": form, "reply": found})


@require_POST
@company_page
def delete_reply(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    services.delete_canned_reply(actor=principal_of(request.user), reply_id=pk)
    messages.success(request, "The canned reply was deleted.")
    return redirect("canned-replies")
