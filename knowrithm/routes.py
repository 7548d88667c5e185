"""Every verb of every URL of ours, for the table of permissions and the tests that walk them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from knowrithm.api.permissions import Access, declared_access, with_verb

API_PREFIXES = ("/api/", "/health", "/widget", "/test")


@dataclass(frozen=True)
class Route:
    """One verb of one URL. `action` is the viewset's, or None for a plain view."""

    method: str
    path: str
    action: str | None
    view: Any

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_page(self) -> bool:
        return not self.path.startswith(API_PREFIXES)

    @property
    def access(self) -> Access:
        """Raises `ImproperlyConfigured` when the view declares none."""
        return with_verb(declared_access(self.view, self.action or self.method), self.method)


def all_routes() -> Iterator[Route]:
    """Every verb of every URL of ours: the API once, under its canonical prefix, and all pages."""
    for path, pattern in _patterns(get_resolver().url_patterns, ""):
        if path.startswith(("v1/", "api/api/v1/", "admin/", "^", "api/schema", "api/docs", "api/redoc")):
            continue
        callback: Any = pattern.callback
        actions = getattr(callback, "actions", None)
        if actions:
            for method, action in actions.items():
                if method != "head":
                    yield Route(method.upper(), f"/{path}", action, callback.cls)
        else:
            declared = getattr(callback, "access", None)
            by_verb = declared if isinstance(declared, dict) else {"GET"}
            for method in sorted(getattr(callback, "methods", by_verb)):
                yield Route(method, f"/{path}", None, callback)


def _patterns(found: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in found:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, path)
        else:
            yield path, pattern
