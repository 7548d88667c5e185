# ruff: noqa: E501  # a paragraph of the page is one line
"""Who may do what, as docs/permissions.md: written from what the routes and pages declare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from knowrithm.api.permissions import API_KEY, LEAD, USER, resource_of
from knowrithm.principal import ROLE_SCOPES, Resource, Role, Scope
from knowrithm.routes import Route, all_routes

INTRODUCTION = """\
# Permissions

This page is written by `python manage.py permissions_table --file docs/permissions.md` from what every endpoint and page declares; a test fails when the two differ, and a view that declares nothing is refused.

A person has a role, and the role gives scopes. An API key has scopes of its own, and can never do more than the person who made it. A lead is a visitor with a token for one agent. A super admin belongs to no company: endpoints that work on a company's own records answer a super admin with 403.

## Roles

| Role | Scopes |
|---|---|
"""
KEYS = """
## Scopes

| Scope | Allows |
|---|---|
| `read` | Reading everything of the company. |
| `write` | Reading, creating, changing, archiving and restoring. |
| `admin` | Reading, and governing people, the configuration and the catalogue. |
| `full_access` | Everything. |
| `update` | Changing and restoring with `PUT` and `PATCH`, wherever `write` would be enough. |
| `delete` | Archiving and deleting with `DELETE`, wherever `write` would be enough. |

## Permissions of an API key

The field `permissions` narrows an API key to parts of the API. `{"agents": ["read"], "documents": ["read", "write"]}` lets the key read agents, read and write documents, and nothing else, as far as its scopes allow that too. A part that is not named is closed to the key. Without permissions, or with `{}`, only the scopes count. Endpoints that ask for no scope stay open, so that every key can check itself with `GET /auth/validate`. The parts are RESOURCES.

## Acting as somebody else

A super admin who acts as a person has exactly that person's rights, except for what is marked "not while acting as somebody else" below, which answers 403 with the code `IMPERSONATING`.

## Endpoints

Where several scopes are named, any one of them is enough, unless "and" stands between them. "Of an admin" means that the person who made the key is an admin.
"""


def render() -> str:
    routes = list(all_routes())
    roles = (f"| `{role}` | {_listed(sorted(ROLE_SCOPES[role], key=list(Scope).index))} |" for role in Role)
    resources = ", ".join(f"`{resource}`" for resource in Resource)
    parts = [INTRODUCTION + "\n".join(roles), KEYS.replace("RESOURCES", resources)]
    chapters: dict[str, list[Route]] = {}
    for route in routes:
        if not route.is_page:
            chapters.setdefault(resource_of(route.view) or "others", []).append(route)
    for name in sorted(chapters):
        parts.append(f"### {name.capitalize()}\n\n| Endpoint | Person | API key | Lead |\n|---|---|---|---|")
        rows = dict.fromkeys(
            f"\n| `{route.method} {_path(route)}` | {' | '.join(_cells(route))} |" for route in chapters[name]
        )
        parts[-1] += "".join(rows) + "\n"
    parts.append("## Pages\n\n| Page | Open to |\n|---|---|")
    pages = dict.fromkeys(
        f"\n| `{_verb(route)}{_path(route)}` | {_cells(route)[0]}{_or_lead(route)} |"
        for route in routes
        if route.is_page
    )
    return "\n".join(parts) + "".join(pages) + "\n"


def _path(route: Route) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path).replace("/api/v1/", "/")


def _verb(route: Route) -> str:
    """Of a page, where another one asks for more."""
    return f"{route.method} " if isinstance(route.view.access, dict) else ""


def _or_lead(route: Route) -> str:
    return ", lead" if LEAD in route.access.kinds and not route.access.is_public else ""


def _cells(route: Route) -> tuple[str, str, str]:
    """What a person, an API key and a lead need."""
    access = route.access
    if access.is_public:
        return "anybody", "anybody", "anybody"
    scopes = sorted(access.scopes, key=list(Scope).index)
    reach = [
        role
        for role in Role
        if USER in access.kinds
        and (access.roles is None or role in access.roles)
        and access.is_within(ROLE_SCOPES[role].__contains__)
        and (role != Role.SUPER_ADMIN or not _needs_company(route))
    ]
    person = ", ".join(role.replace("_", " ") for role in reach) or "nobody"
    person += "; not while acting as somebody else" if access.is_oneself else ""
    key = _listed(scopes, " and " if access.needs_all else ", ") if API_KEY in access.kinds else "no"
    key += " of an admin" if key != "no" and access.roles is not None else ""
    return person, key, "its own" if LEAD in access.kinds else "no"


def _needs_company(route: Route) -> bool:
    return bool(getattr(route.view, "needs_company", True))


def _listed(scopes: list[Scope], between: str = ", ") -> str:
    return between.join(f"`{scope}`" for scope in scopes) or "any"


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="where to write it instead of printing it")

    def handle(self, *args: Any, file: Path | None, **options: Any) -> None:
        if file:
            file.write_text(render())
        else:
            self.stdout.write(render(), ending="")
