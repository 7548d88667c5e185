"""The search indexes in the making of all companies, and those whose making stopped."""

from __future__ import annotations

from typing import Any

from analytics.selectors.everywhere import companies_with_schema, select_everywhere

_BUILDS = """
(SELECT {company} AS company_id, coalesce(agent.name, dataset.name) AS home, model.name AS model, build.status,
        build.error, build.started_at, build.updated_at
 FROM {builds} AS build
 JOIN {indexes} AS made ON made.id = build.search_index_id
 JOIN {models} AS model ON model.id = made.embedding_model_id
 LEFT JOIN {agents} AS agent ON agent.id = made.agent_id
 LEFT JOIN {datasets} AS dataset ON dataset.id = made.dataset_id
 WHERE build.status IN ('pending', 'processing', 'failed')
 ORDER BY build.created_at DESC LIMIT %(limit)s)
"""
_COLUMNS = ("company_id", "home", "model", "status", "error", "started_at", "updated_at")


def index_builds(limit: int) -> list[dict[str, Any]]:
    """At most so many of each company, the failed ones first."""
    companies = companies_with_schema()
    names = {company.pk: company.name for company in companies}
    found = [dict(zip(_COLUMNS, row, strict=True)) for row in select_everywhere(companies, _BUILDS, {"limit": limit})]
    rows = [{**row, "company_name": names[row["company_id"]]} for row in found]
    return sorted(rows, key=lambda row: (row["status"] != "failed", row["company_name"], row["home"]))[:limit]
