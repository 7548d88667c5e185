"""The dashboard's pages that show conversations, alone or together with what the apps below know."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_POST

from agents.models import Agent
from agents.selectors import agents_list, get_agent
from agents.versions import drafted
from conversations import services
from conversations.dashboard import CompanyStats, agent_stats, cited_passage, company_stats
from conversations.demo import demo_agent
from conversations.models import Citation, Conversation
from conversations.records import message_record
from conversations.selectors import (
    conversations_for,
    get_citation,
    get_conversation,
    messages_of,
    with_first_questions,
)
from conversations.visitors import visitor_citation, visitor_token
from documents.selectors import documents_list, website_sources_list
from documents.views import chunk_url
from knowrithm.api.permissions import PUBLIC, SIGNED_IN_OR_LEAD, declare
from knowrithm.errors import NotFoundError
from tenants.models import User
from tenants.pages import PageRequest, as_uuid, company_page, page_of, query_text, way_back
from tenants.services import principal_of
from tenants.sign_in import missing_step

API_BASE = "/api/v1"
RECENT = 5
PER_PAGE = 25
SHOWN_MESSAGES = 100  # of a long conversation, the last ones


# --- Home ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    text: str
    action: str
    url: str
    done: bool


@company_page
def home(request: PageRequest) -> HttpResponse:
    stats = company_stats()
    steps = first_steps(stats, agents_list().first(), is_admin=principal_of(request.user).is_admin)
    done = sum(step.done for step in steps)
    context = {
        "stats": stats,
        "steps": steps if done < len(steps) else [],
        "steps_done": done,
        "recent_documents": documents_list()[:RECENT],
        "recent_conversations": with_first_questions(conversations_for(principal_of(request.user)))[:RECENT],
    }
    return render(request, "tenants/home.html", context)


def first_steps(stats: CompanyStats, agent: Agent | None, *, is_admin: bool) -> Sequence[Step]:
    """From an empty company to an agent that visitors talk to; later steps lead to the newest agent.

    Where there is none, only an admin can go on: a step without a `url` is not the reader's to take.
    """
    new_agent = reverse("agent-create") if is_admin else ""
    return (
        Step(
            "Create an agent",
            "It answers for your company, in its own name."
            if is_admin
            else "An admin of your company creates it. It answers in its own name.",
            "New agent",
            new_agent,
            stats.agents > 0,
        ),
        Step(
            "Give it documents",
            "Manuals, policies, price lists: what it may answer from.",
            "Upload",
            reverse("documents"),
            stats.documents > 0,
        ),
        Step(
            "Ask it something",
            "Each answer shows the passage that it rests on.",
            "Open the chat",
            reverse("agent-chat", args=[agent.pk]) if agent else new_agent,
            stats.conversations > 0,
        ),
        Step(
            "Put it on your site",
            "One line of HTML. Done when the first visitor has said hello.",
            "Get the code",
            reverse("agent-embed", args=[agent.pk]) if agent else new_agent,
            stats.leads > 0,
        ),
    )


# --- One agent ----------------------------------------------------------------------------------------------------


@company_page
def agent(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = get_agent(pk, include_archived=True)
    tab = query_text(request, "tab")
    context: dict[str, Any] = {"agent": found, "tab": tab}
    if tab == "documents":
        context["page_obj"] = page_of(request, documents_list(agent_id=pk), per_page=PER_PAGE)
    elif tab == "websites":
        context["page_obj"] = page_of(request, website_sources_list(home_id=pk), per_page=PER_PAGE)
    elif tab == "conversations":
        rows = with_first_questions(conversations_for(principal_of(request.user)).filter(agent=found))
        context["page_obj"] = page_of(request, rows, per_page=PER_PAGE)
    else:
        context |= {"tab": "overview", "stats": agent_stats(found), "llm": _model_facts(found)}
    return render(request, "agents/detail.html", context)


def _model_facts(found: Agent) -> dict[str, Any]:
    settings = found.llm_settings
    return {
        "provider": settings.llm_provider.label,
        "model": settings.llm_model.name,
        "temperature": settings.llm_temperature,
        "max_tokens": settings.llm_max_tokens,
    }


@company_page
def chat(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = get_agent(pk)
    conversation = _conversation(request, found)
    is_draft = found.has_draft and query_text(request, "draft") == "1"
    if is_draft:
        found = drafted(found)
    context = {
        "agent": found,
        "is_draft": is_draft,
        "tab": "chat",
        "conversation": conversation,
        "chat_messages": _last_messages(conversation) if conversation else [],
        "starter_questions": found.starter_questions,
        "api_base": API_BASE,
    }
    return render(request, "conversations/chat.html", context)


def _conversation(request: PageRequest, found: Agent) -> Conversation | None:
    """The one that the address names; the same for an unknown one and another agent's: `NotFoundError`."""
    wanted = query_text(request, "conversation")
    if not wanted:
        return None
    conversation = get_conversation(principal_of(request.user), as_uuid(wanted) or uuid.UUID(int=0))
    if conversation.agent_id != found.pk:
        raise NotFoundError("There is no such conversation.")
    return conversation


def _last_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """Their records, and what guardrails have decided: for the company's people, visitors are not told the rules."""
    newest = messages_of(conversation).prefetch_related("decisions").order_by("-position")[:SHOWN_MESSAGES]
    return [
        {
            **message_record(message),
            "content": message.error or message.for_team,
            "decisions": [*message.decisions.all()],
        }
        for message in reversed(newest)
    ]


@require_POST
@company_page
def archive(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    actor = principal_of(request.user)
    conversation = get_conversation(actor, pk)
    services.archive_conversation(actor=actor, conversation=conversation)
    undo = reverse("conversation-restore", args=[pk])
    messages.success(request, f"“{conversation.shown_title}” was archived.", extra_tags=undo)
    return way_back(request, "home")


@require_POST
@company_page
def restore(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    conversation = services.restore_conversation(actor=principal_of(request.user), conversation_id=pk)
    messages.success(request, f"“{conversation.shown_title}” was restored.")
    return way_back(request, "home")


# --- Passages and the demo, for people and for visitors -----------------------------------------------------------


@declare(SIGNED_IN_OR_LEAD)
def passage(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The fragment that a citation opens: for a company's people, or for the demo visitor who was answered with it."""
    try:
        citation, document_url = _visible_citation(request, pk)
    except NotFoundError as error:
        raise Http404(str(error)) from None
    shown = cited_passage(citation, document_url=document_url)
    response = render(request, "conversations/_passage.html", {"citation": shown})
    add_never_cache_headers(response)
    return response


def _visible_citation(request: HttpRequest, pk: uuid.UUID) -> tuple[Citation, str]:
    person = request.user
    # Who has not done what their company requires at sign-in is no more than a visitor here.
    if isinstance(person, User) and person.company is not None and missing_step(request, person) is None:
        with suppress(NotFoundError):  # one of our people may be looking at the demo
            citation = get_citation(pk)
            return citation, _document_url(citation)
    return visitor_citation(request, pk), ""


def _document_url(citation: Citation) -> str:
    """As near to the cited passage as still exists."""
    if citation.chunk is not None:
        return chunk_url(citation.chunk)
    return reverse("document", args=[citation.document_id]) if citation.document_id else ""


@declare(PUBLIC)
def demo(request: HttpRequest) -> HttpResponse:
    found = demo_agent()
    if found is None:
        raise Http404("This installation has no demo.")
    company, demo_guide = found
    token = visitor_token(request, company=company, agent=demo_guide)
    context = {"agent": demo_guide, "starter_questions": demo_guide.starter_questions, "api_base": API_BASE}
    response = render(request, "conversations/demo.html", {**context, "visitor_token": token})
    add_never_cache_headers(response)
    return response
