"""Filters for what was said."""

from __future__ import annotations

from django import template

from conversations.engine.citations import without_markers

register = template.Library()


@register.filter
def unmarked(text: str) -> str:
    """An answer where there is no room for its sources and what it stresses."""
    return without_markers(text).replace("**", "")
