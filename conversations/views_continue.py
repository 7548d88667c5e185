"""The page on which a visitor goes on with one conversation, by the link of a mail."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django_tenants.utils import tenant_context

from conversations import services, streams
from conversations.enums import MessageStatus
from conversations.models import Conversation
from conversations.records import author_kind
from conversations.reply_links import read_link
from knowrithm.api.permissions import PUBLIC, declare
from knowrithm.api.throttling import check_rate, client_address
from knowrithm.errors import ServiceError
from knowrithm.principal import Principal, PrincipalKind
from tenants.models import Company

SESSION_KEY = "continued"
SECONDS = 3600  # after that the link is pressed again
SHOWN = 100


class WriteForm(forms.Form):
    message = forms.CharField(
        label="Your message", max_length=services.MAX_MESSAGE_LENGTH, widget=forms.Textarea({"rows": 3})
    )


@declare(PUBLIC)
def go_on(request: HttpRequest) -> HttpResponse:
    """The link's token is put into the browser's session for an hour, so that no address and no history keeps it."""
    if token := request.GET.get("token", ""):
        link = read_link(token)
        if link is None:
            return _gone(request)
        request.session[SESSION_KEY] = [link.schema, str(link.conversation_id), int(time.time())]
        return redirect("continue")
    schema, conversation_id, since = request.session.get(SESSION_KEY) or ["", "", 0]
    company = Company.objects.filter(schema_name=schema).first() if time.time() - since < SECONDS else None
    if company is None or not company.is_usable:
        return _gone(request)
    with tenant_context(company):
        response = _conversation(request, company, uuid.UUID(conversation_id))
    add_never_cache_headers(response)
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _conversation(request: HttpRequest, company: Company, conversation_id: uuid.UUID) -> HttpResponse:
    rows = Conversation.objects.live().select_related("agent", "lead")
    conversation = rows.filter(pk=conversation_id, lead__archived_at=None).exclude(lead=None).first()
    if conversation is None or conversation.lead is None:
        return _gone(request)
    actor = Principal(
        kind=PrincipalKind.LEAD, id=conversation.lead.id, company=company, agent_id=conversation.agent_id,
        label=str(conversation.lead),
    )  # fmt: skip
    form = WriteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            check_rate("chat", f"continue:{client_address(request)}")
            services.start_turn(actor=actor, conversation_id=conversation.pk, text=form.cleaned_data["message"])
            return redirect("continue")
        except ServiceError as error:
            form.add_error(None, str(error))
    streams.note_present(streams.visitor_key(company.schema_name, conversation.pk))
    said: list[Any] = list(conversation.messages.live().order_by("-position")[:SHOWN])
    context = {
        "conversation": conversation,
        "said": [
            {"kind": author_kind(row), "name": row.author_name, "text": row.content, "at": row.created_at}
            for row in reversed(said)
            if row.content
        ],
        "is_answering": any(row.status in {MessageStatus.PENDING, MessageStatus.PROCESSING} for row in said),
        "form": form,
    }
    return render(request, "conversations/continue.html", context)


def _gone(request: HttpRequest) -> HttpResponse:
    response = render(request, "conversations/continue_gone.html", status=404)
    add_never_cache_headers(response)
    return response
