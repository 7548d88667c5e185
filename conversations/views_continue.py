"""The page on which a visitor goes on with one conversation, by the link of a mail."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_POST
from django_tenants.utils import tenant_context

from agents.languages import direction_of, django_language
from conversations import services, streams
from conversations.engine.citations import without_markers
from conversations.enums import MessageStatus, Owner
from conversations.models import Conversation
from conversations.records import author_kind
from conversations.reply_links import read_link
from conversations.wording import in_words, known_language, sentence, texts
from knowrithm.api.permissions import PUBLIC, declare
from knowrithm.api.throttling import check_rate, client_address
from knowrithm.errors import ServiceError
from knowrithm.jobs import current_schema
from knowrithm.principal import Principal, PrincipalKind
from tenants.models import Company

SESSION_KEY = "continued"
SECONDS = 3600  # after that the link is pressed again
SHOWN = 100


class WriteForm(forms.Form):
    message = forms.CharField(max_length=services.MAX_MESSAGE_LENGTH, widget=forms.Textarea({"rows": 3, "dir": "auto"}))

    def __init__(self, data: QueryDict | None, *, label: str) -> None:
        super().__init__(data)
        self.fields["message"].label = label


@declare(PUBLIC)
def go_on(request: HttpRequest) -> HttpResponse:
    """The link's token is put into the browser's session for an hour, so that no address and no history keeps it."""
    if token := request.GET.get("token", ""):
        link = read_link(token)
        if link is None:
            return _gone(request)
        request.session[SESSION_KEY] = [link.schema, str(link.conversation_id), int(time.time())]
        return redirect("continue")
    company, conversation_id = _opened(request)
    if company is None:
        return _gone(request)
    with tenant_context(company):
        response = _conversation(request, company, conversation_id)
    add_never_cache_headers(response)
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@require_POST
@declare(PUBLIC)
def typing(request: HttpRequest) -> HttpResponse:
    """The visitor writes: whoever has the conversation is told, and nothing is stored."""
    company, conversation_id = _opened(request)
    if company is None:
        return HttpResponse(status=404)
    check_rate("visit", client_address(request))
    with tenant_context(company):
        conversation = _found(conversation_id)
        if conversation is None:
            return HttpResponse(status=404)
        services.say_typing(actor=_visitor(conversation, company), conversation_id=conversation.pk, is_typing=True)
    return HttpResponse(status=204)


def _opened(request: HttpRequest) -> tuple[Company | None, uuid.UUID]:
    """The conversation that this browser has opened by a link within the hour."""
    schema, conversation_id, since = request.session.get(SESSION_KEY) or ["", str(uuid.UUID(int=0)), 0]
    company = Company.objects.filter(schema_name=schema).first() if time.time() - since < SECONDS else None
    return (company if company is not None and company.is_usable else None), uuid.UUID(conversation_id)


def _found(conversation_id: uuid.UUID) -> Conversation | None:
    rows = Conversation.objects.live().select_related("agent", "lead")
    found: Conversation | None = rows.filter(pk=conversation_id, lead__archived_at=None).exclude(lead=None).first()
    return found


def _visitor(conversation: Conversation, company: Company) -> Principal:
    assert conversation.lead is not None  # noqa: S101  # others are not found
    return Principal(
        kind=PrincipalKind.LEAD, id=conversation.lead.id, company=company, agent_id=conversation.agent_id,
        label=str(conversation.lead),
    )  # fmt: skip


def _conversation(request: HttpRequest, company: Company, conversation_id: uuid.UUID) -> HttpResponse:
    conversation = _found(conversation_id)
    if conversation is None:
        return _gone(request)
    actor = _visitor(conversation, company)
    language = conversation.language or "en"
    with translation.override(django_language(language)):
        return _page(request, actor, conversation, language)


def _page(request: HttpRequest, actor: Principal, conversation: Conversation, language: str) -> HttpResponse:
    """Django's own words, such as those of a form's errors, are in the conversation's language too."""
    form = WriteForm(request.POST if request.method == "POST" else None, label=sentence("page_message", language))
    if request.method == "POST" and form.is_valid():
        try:
            check_rate("chat", f"continue:{client_address(request)}")
            services.start_turn(actor=actor, conversation_id=conversation.pk, text=form.cleaned_data["message"])
            return redirect("continue")
        except ServiceError as error:
            form.add_error(None, str(error))
    streams.note_present(streams.visitor_key(current_schema(), conversation.pk))
    said: list[Any] = list(conversation.messages.live().order_by("-position")[:SHOWN])
    is_answering = any(row.status in {MessageStatus.PENDING, MessageStatus.PROCESSING} for row in said)
    context = {
        **_spoken(language),
        "conversation": conversation,
        "speaker": _speaker(conversation, language),
        "said": [
            {
                "kind": author_kind(row),
                "name": row.author_name,
                "text": in_words(row.notices, language) or without_markers(row.content),
                "at": row.created_at,
            }
            for row in reversed(said)
            if row.content and row.status != MessageStatus.FAILED
        ],
        "writing": sentence("page_writing", language, agent=conversation.agent.name) if is_answering else "",
        "form": form,
    }
    return render(request, "conversations/continue.html", context)


def _speaker(conversation: Conversation, language: str) -> str:
    if conversation.owner == Owner.PERSON:
        return sentence("page_person", language, name=conversation.person_name)
    code = "page_waiting" if conversation.owner == Owner.WAITING else "page_agent"
    return sentence(code, language, agent=conversation.agent.name)


def _spoken(language: str) -> dict[str, Any]:
    return {"texts": texts(language), "language": language, "direction": direction_of(language)}


def _gone(request: HttpRequest) -> HttpResponse:
    language = known_language(translation.get_language_from_request(request)) or "en"
    response = render(request, "conversations/continue_gone.html", _spoken(language), status=404)
    add_never_cache_headers(response)
    return response
