"""What the audit logs of all companies and the platform's own say. An event type's first word is its category."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from analytics.selectors.everywhere import companies_with_schema, select_everywhere
from analytics.selectors.periods import Period
from tenants.audit.models import AuditEvent, RiskLevel
from tenants.audit.sentences import sentence
from tenants.models import Company

Report = dict[str, Any]
# What both the arms below narrow by; an empty value narrows nothing.
EVENTS = """
FROM {events} WHERE created_at >= %(start)s AND created_at < %(end)s
  AND (%(event_type)s = '' OR event_type = %(event_type)s)
  AND (%(event_category)s = '' OR split_part(event_type, '.', 1) = %(event_category)s)
  AND (%(entity_type)s = '' OR entity_type = %(entity_type)s)
  AND (%(risk_level)s = '' OR risk_level = %(risk_level)s)
  AND (%(user_id)s::uuid IS NULL OR user_id = %(user_id)s::uuid)
"""
COLUMNS = (
    "company_id", "id", "created_at", "event_type", "entity_type", "entity_id", "entity_label", "description",
    "risk_level", "user_id", "actor_label", "actor_kind", "impersonator_id", "impersonator_label", "ip_address",
)  # fmt: skip
TOLD = (  # what a sentence about it takes
    "event_type", "entity_type", "entity_id", "entity_label", "actor_label", "actor_kind", "impersonator_id",
    "impersonator_label",
)  # fmt: skip
EVENT_COLUMNS = """
SELECT {company} AS company_id, id, created_at, event_type, entity_type, entity_id, entity_label, description,
  risk_level, user_id, actor_label, actor_kind, impersonator_id, impersonator_label, host(ip_address) AS ip_address
"""
RECENT = 50


def activity_page(*, types: Sequence[str], start: int, size: int) -> tuple[list[Report], int]:
    """Events of `types` (event types or their first words; none means all), newest first, and how many there are."""
    companies = companies_with_schema()
    parameters = {"types": list(types), "all": not types, "limit": start + size}
    narrowed = """FROM {events} WHERE %(all)s
        OR event_type = ANY(%(types)s) OR split_part(event_type, '.', 1) = ANY(%(types)s)"""
    counts = select_everywhere(companies, "SELECT count(*) " + narrowed, parameters, with_platform=True)
    total = sum(count for (count,) in counts)
    if start >= total:
        return [], total
    found = select_everywhere(
        companies,
        "(" + EVENT_COLUMNS + narrowed + " ORDER BY created_at DESC, id LIMIT %(limit)s)",
        parameters,
        tail="ORDER BY created_at DESC, id LIMIT %(limit)s",
        with_platform=True,
    )
    rows = sorted((dict(zip(COLUMNS, row, strict=True)) for row in found), key=_newest_first)
    names = {company.pk: company.name for company in companies}
    return [_feed_item(row, names) for row in rows[start : start + size]], total


def _newest_first(row: Report) -> tuple[float, str]:
    return -row["created_at"].timestamp(), str(row["id"])


def _feed_item(row: Report, names: dict[uuid.UUID, str]) -> Report:
    told = {name: row[name] for name in TOLD}
    return {
        "id": row["id"],
        "type": row["event_type"],
        "title": sentence(AuditEvent(**told)),
        "description": row["description"] or (f"By {row['actor_label']}." if row["actor_label"] else ""),
        "severity": row["risk_level"],
        "timestamp": row["created_at"],
        "company_id": row["company_id"],
        "company_name": names.get(row["company_id"]),
        "actor_user_id": row["user_id"],
        "target_url": _admin_page(row),
    }


def _admin_page(row: Report) -> str:
    """Where a super admin sees what the event is about: the person, else the company."""
    if row["entity_type"] == "user" and row["entity_id"]:
        return f"/admin/tenants/user/{row['entity_id']}/change/"
    return f"/admin/tenants/company/{row['company_id']}/change/" if row["company_id"] else ""


def _filters(period: Period, filters: Report) -> Report:
    narrowing = ("event_type", "event_category", "entity_type", "risk_level")
    return {
        "start": period.start,
        "end": period.end,
        "interval": period.interval,
        "user_id": filters.get("user_id"),
        **{name: filters.get(name, "") for name in narrowing},
    }


def _places(company_id: uuid.UUID | None) -> tuple[list[Company], bool]:
    """The companies to ask, and whether the platform's own log belongs to the question."""
    return companies_with_schema(company_id), company_id is None


def activity_trends(period: Period, filters: Report) -> Report:
    companies, with_platform = _places(filters.get("company_id"))
    arm = (
        "SELECT date_trunc(%(interval)s, created_at) AS bucket, event_type, risk_level, count(*) " + EVENTS
        + " GROUP BY 1, 2, 3"
    )  # fmt: skip
    series: Counter[Any] = Counter()
    types: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    risks: Counter[str] = Counter()
    for bucket, event_type, risk, count in select_everywhere(
        companies, arm, _filters(period, filters), with_platform=with_platform
    ):
        series[bucket] += count
        types[event_type] += count
        categories[event_type.partition(".")[0]] += count
        risks[risk] += count
    return {
        "summary": {**period.summary(), "total_events": series.total()},
        "time_series": [
            {"timestamp": bucket.isoformat(), "event_count": series[bucket]} for bucket in period.buckets()
        ],
        "category_breakdown": dict(categories.most_common()),
        "risk_distribution": _risks(risks),
        "top_events": dict(types.most_common(10)),
    }


def change_tracking(period: Period, filters: Report) -> Report:
    """`group_by` is entity, category, risk_level, user or company; without it `breakdown` is by entity."""
    companies, with_platform = _places(filters.get("company_id"))
    parameters = {**_filters(period, filters), "limit": RECENT}
    counted = select_everywhere(
        companies,
        "SELECT {company} AS company_id, split_part(event_type, '.', 1), entity_type, entity_id, risk_level, user_id, "
        "max(actor_label), count(*) " + EVENTS + " GROUP BY 2, 3, 4, 5, 6",
        parameters,
        with_platform=with_platform,
    )
    names = {company.pk: company.name for company in companies}
    groups: dict[str, Counter[str]] = {
        name: Counter() for name in ("entity", "category", "risk_level", "user", "company")
    }
    entities, people = set(), set()
    for company_id, category, entity_type, entity_id, risk, user_id, actor, count in counted:
        groups["entity"][entity_type or "other"] += count
        groups["category"][category] += count
        groups["risk_level"][risk] += count
        groups["user"][actor or "nobody signed in"] += count
        groups["company"][names.get(company_id, "platform")] += count
        entities.add((company_id, entity_type, entity_id))
        people.add(user_id)
    recent = select_everywhere(
        companies,
        "(" + EVENT_COLUMNS + EVENTS + " ORDER BY created_at DESC, id LIMIT %(limit)s)",
        parameters,
        tail="ORDER BY created_at DESC, id LIMIT %(limit)s",
        with_platform=with_platform,
    )
    rows = sorted((dict(zip(COLUMNS, row, strict=True)) for row in recent), key=_newest_first)[:RECENT]
    risks = groups["risk_level"]
    return {
        "summary": {
            "start": period.start.isoformat(),
            "end": period.end.isoformat(),
            "total_changes": risks.total(),
            "high_risk_changes": risks[RiskLevel.HIGH] + risks[RiskLevel.CRITICAL],
            "unique_entities": len(entities),
            "unique_users": len(people - {None}),
        },
        "breakdown": dict(groups[filters.get("group_by") or "entity"].most_common()),
        "category_distribution": dict(groups["category"].most_common()),
        "risk_distribution": _risks(risks),
        "recent_changes": [_change(row) for row in rows],
    }


def _risks(counts: Counter[str]) -> dict[str, int]:
    return {level.value: counts[level.value] for level in RiskLevel}


def _change(row: Report) -> Report:
    change = {
        name: row[name]
        for name in (
            "id", "company_id", "event_type", "entity_type", "entity_id", "description", "risk_level", "user_id",
            "ip_address",
        )
    }  # fmt: skip
    return {**change, "event_category": row["event_type"].partition(".")[0], "timestamp": row["created_at"]}
