"""The dashboard's page on one answer: how it was made, what has changed since, and the answer made again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from conversations import selectors, services
from conversations.enums import ReplayInputs
from conversations.inputs import Change, compare_inputs
from conversations.models import Message
from conversations.records import message_record
from conversations.replays import is_free
from knowrithm.api.throttling import check_rate
from knowrithm.jobs import TaskRecord, current_schema, read_task
from tenants.pages import PageRequest, as_uuid, company_page, errors_as_messages, query_text
from tenants.services import principal_of

STAGES = {
    "routing": "Choosing a specialist",
    "retrieval": "Retrieval",
    "first_token": "First token",
    "generation": "Writing",
}


@dataclass(frozen=True, slots=True)
class ShownChange:
    label: str
    before: str
    after: str


@company_page
def answer(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """With `task`, the id of a replay, it shows what came of that."""
    reply = selectors.get_answer(principal_of(request.user), pk)
    compared = compare_inputs(reply)
    task = _replay(query_text(request, "task"))
    result = task.result if task and task.status == "completed" else None
    context = {
        "conversation": reply.conversation,
        "agent": reply.conversation.agent,
        "question": reply.asked,
        "reply": reply,
        "record": message_record(reply),
        "failures": [one for one in reply.model_failures if one["error"] != reply.error],
        "stages": stages_of(reply),
        "total": reply.processing_time or 0,
        "passages": _passages(reply),
        "decisions": list(reply.decisions.all()),
        "compared": compared,
        "changes": [ShownChange(one.label, *_sides(one)) for one in compared.changes],
        "task": task,
        "result": _shown_result(result) if result and "replayed" in result else None,
        "is_free": is_free(reply),
        "then": ReplayInputs.THEN.value,
        "now": ReplayInputs.NOW.value,
    }
    return render(request, "conversations/answer.html", context)


@require_POST
@company_page
def replay(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    inputs = ReplayInputs.THEN if request.POST.get("inputs") == ReplayInputs.THEN else ReplayInputs.NOW
    actor, query = principal_of(request.user), ""
    with errors_as_messages(request):
        check_rate("chat", str(actor.id))
        _, task_id = services.start_replay(actor=actor, message_id=pk, inputs=inputs)
        query = f"?task={task_id}"
    return redirect(f"{reverse('answer', args=[pk])}{query}#replay")


def stages_of(reply: Message) -> list[tuple[str, float]]:
    return [(name, reply.timings[stage]) for stage, name in STAGES.items() if stage in reply.timings]


def _replay(task_id: str) -> TaskRecord | None:
    record = read_task(task_id) if as_uuid(task_id) else None
    if record is None or record.schema != current_schema():
        return None
    return record


def _shown_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """The sides with the sources that they name; a replay keeps all passages that were read."""
    sides = {name: result[name] for name in ("original", "replayed")}
    cited = {name: [source for source in side["sources"] if source["cited"]] for name, side in sides.items()}
    return {**result, **{name: side | {"sources": cited[name]} for name, side in sides.items()}}


def _passages(reply: Message) -> list[dict[str, Any]]:
    """The citations, each with how it was found; in older answers nobody knows that any more."""
    legs = reply.trace.get("passages", [])
    rows = reply.citations.order_by("number")
    return [{"citation": row, "legs": legs[row.number - 1] if row.number <= len(legs) else None} for row in rows]


def _sides(change: Change) -> tuple[str, str]:
    return _in_words(change.before), _in_words(change.after)


def _in_words(value: Any) -> str:
    """A value as a person reads it; what is not there is empty."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, indent=2) if value else ""
    return "" if value is None else str(value)
