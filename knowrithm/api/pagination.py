from __future__ import annotations

import math
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request

from knowrithm.db.compiled import CompiledQuery

MAX_PER_PAGE = 100
Rows = QuerySet[Any] | CompiledQuery[Any]


def _number(value: str | None, default: int) -> int:
    try:
        return int(value) if value else default
    except ValueError:
        return default


def paginate(
    request: Request, rows: QuerySet[Any] | CompiledQuery[Any], *, per_page: int
) -> tuple[list[Any], dict[str, Any]]:
    """One page of `rows` by the request's `page` (from 1) and `per_page` (at most 100), in at most two queries.

    A page beyond the end is empty, as the published clients expect. The second value names the same numbers in
    each of the vocabularies that clients read.
    """
    page, size = page_of(request, per_page=per_page)
    return slice_of(rows, start=(page - 1) * size, size=size)


def slice_of(rows: Rows, *, start: int, size: int) -> tuple[list[Any], dict[str, Any]]:
    """As `paginate`, from any row on."""
    items = list(rows[start : start + size + 1])
    # Without a row beyond it, a page that has any is the last: its end is the total.
    is_last = 0 < len(items) <= size
    total = start + len(items) if is_last else rows.count() if items or start else 0
    del items[size:]
    return items, pagination_of(start // size + 1, size, total)


def page_of(request: Request, *, per_page: int) -> tuple[int, int]:
    """The number of the page that is asked for, and how many records it holds."""
    size = min(max(_number(request.query_params.get("per_page"), per_page), 1), MAX_PER_PAGE)
    return min(max(_number(request.query_params.get("page"), 1), 1), 10**9), size


def pagination_of(page: int, size: int, total: int) -> dict[str, Any]:
    pages = max(math.ceil(total / size), 1)
    has_next, has_prev = page < pages, page > 1
    return {
        "page": page,
        "per_page": size,
        "total": total,
        "pages": pages,
        "has_next": has_next,
        "has_prev": has_prev,
        "current_page": page,
        "total_pages": pages,
        "total_items": total,
        "next_page": page + 1 if has_next else None,
        "prev_page": min(page - 1, pages) if has_prev else None,  # one that exists, also from beyond the end
    }
