"""The dashboard's page about an agent's versions: the draft, the list, two of them side by side, the way back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from agents import drafts
from agents.enums import AnswerLength
from agents.hours import read_hours
from agents.models import AgentVersion
from agents.selectors import get_agent
from agents.versions import (
    Configuration,
    changed_labels,
    compare,
    configuration_named,
    configuration_of,
    drafted,
    get_version,
)
from tenants.pages import PageRequest, company_page, errors_as_messages, page_of, query_text, way_back
from tenants.services import principal_of

PER_PAGE = 25
OFFERED = 100  # versions to compare, the newest


@dataclass(frozen=True, slots=True)
class ShownChange:
    label: str
    before: str
    after: str


@company_page
def versions(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """With `from` and `to`, each a number or `draft`, it shows what differs between them."""
    agent = get_agent(pk)
    rows = AgentVersion.objects.filter(agent=agent).defer("configuration")
    numbers = list(rows.values_list("number", flat=True)[:OFFERED])
    page = page_of(request, rows, per_page=PER_PAGE)
    labels = changed_labels(agent, [row.number for row in page if not row.note])
    chosen = {"from": query_text(request, "from"), "to": query_text(request, "to")}
    context: dict[str, Any] = {
        "agent": agent,
        "tab": "versions",
        "page_obj": page,
        "listed": [(row, row.note or ", ".join(labels[row.number])) for row in page],
        "numbers": numbers,
        "chosen": chosen if all(chosen.values()) else _usual_pair(numbers, has_draft=agent.has_draft),
    }
    if agent.has_draft:
        context["draft_changes"] = _changes(configuration_of(agent), configuration_of(drafted(agent)))
    if all(chosen.values()):
        names = list(chosen.values())
        before, after = (configuration_named(agent, which) for which in names)
        before_name, after_name = (which.capitalize() if which == "draft" else f"Version {which}" for which in names)
        context |= {
            "changes": _changes(before, after),
            "is_compared": True,
            "before_name": before_name,
            "after_name": after_name,
        }
    return render(request, "agents/versions.html", context)


@require_POST
@company_page
def publish(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    agent = get_agent(pk)
    note = request.POST.get("note", "").replace("\0", "")
    with errors_as_messages(request):
        version = drafts.publish_draft(actor=principal_of(request.user), agent=agent, note=note)
        messages.success(request, f"Version {version.number} is what answers now.")
    return redirect("agent-versions", pk=pk)


@require_POST
@company_page
def discard(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    agent = get_agent(pk)
    with errors_as_messages(request):
        drafts.discard_draft(actor=principal_of(request.user), agent=agent)
        messages.success(request, "The draft was discarded.")
    return way_back(request, "agents")


@require_POST
@company_page
def roll_back(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    agent = get_agent(pk)
    given = request.POST.get("number", "")
    version = get_version(agent, int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0)
    with errors_as_messages(request):
        made = drafts.roll_back_agent(actor=principal_of(request.user), agent=agent, version=version)
        messages.success(request, f"Version {made.number} answers now. It says what version {version.number} said.")
    return redirect("agent-versions", pk=pk)


def _usual_pair(numbers: Sequence[int], *, has_draft: bool) -> dict[str, str]:
    """What most people want to compare: the last two."""
    newest = [*(["draft"] if has_draft else []), *map(str, numbers[:2])]
    return {"from": newest[1] if len(newest) > 1 else "", "to": newest[0] if newest else ""}


def _changes(before: Configuration, after: Configuration) -> list[ShownChange]:
    return [
        ShownChange(
            change.label,
            _in_words(change.field, change.before, before.get("dataset_names", {})),
            _in_words(change.field, change.after, after.get("dataset_names", {})),
        )
        for change in compare(before, after)
    ]


def _in_words(field: str, value: Any, dataset_names: Mapping[str, str]) -> str:
    """A configuration's value as a person reads it; what is not set is empty."""
    if field == "datasets":
        return ", ".join(sorted(dataset_names.get(dataset_id, dataset_id) for dataset_id in value or ()))
    if field == "specialists":
        return "\n".join(f"{one['name']}: {one['description']}".rstrip(": ") for one in value or ())
    if field == "operating_hours" and (hours := read_hours(value)):
        closed = hours.text or "Says outside of them that you are closed"
        outside = closed if hours.is_closed_outside else "Answers outside of them"
        return f"{hours.in_words()}\n{outside}"
    if field == "answer_length" and value in AnswerLength.values:
        return str(AnswerLength(value).label)
    if field == "personality_traits" and isinstance(value, dict) and set(value) == {"tone"}:
        return str(value["tone"])
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, indent=2) if value else ""
    return "" if value is None else str(value)
