"""What super admins see of how a company's people take conversations over: nothing that was said."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse

from conversations.models import Handover
from tenants.company_rows import Part, rows_of_company


def _handover(row: Handover) -> list[Any]:
    return [
        row.conversation.agent.name, row.get_reason_display(), row.user_name, row.created_at, row.assigned_at,
        row.ended_at, row.get_end_display(), row.alerted_at,
    ]  # fmt: skip


PARTS = {
    "handovers": Part(
        "Handovers",
        ["Agent", "Reason", "Person", "Asked for", "Taken", "Ended", "How", "Unanswered since"],
        lambda: Handover.objects.select_related("conversation__agent"),
        _handover,
    ),
}


def handovers_of_company(request: HttpRequest, company_id: uuid.UUID) -> HttpResponse:
    return rows_of_company(request, company_id, title="Handovers", parts=PARTS)
