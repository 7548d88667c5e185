"""Template tags of the dashboard: icons of the sprite, status badges, relative times, page numbers."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, Final

from django import template
from django.core.paginator import Page
from django.templatetags.static import static
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.timezone import localtime, now

register = template.Library()

SPRITE: Final = "knowrithm/img/icons.svg"

# Tone of each status the product shows; a status that is not listed is neutral.
STATUS_TONES: Final = {
    "active": "success",
    "processed": "success",
    "completed": "success",
    "crawled": "success",
    "accepted": "success",
    "delivered": "success",
    "failing": "warning",
    "disabled": "danger",
    "pending": "warning",
    "training": "info",
    "processing": "info",
    "crawling": "info",
    "failed": "danger",
    "suspended": "danger",
    "pending_verification": "warning",
    "revoked": "danger",
    "expired": "danger",
    "new": "warning",
    "contacted": "info",
    "qualified": "info",
    "converted": "success",
    "lost": "neutral",
}


@register.simple_block_tag
def captured(content: str) -> str:
    """Rendered once, to be repeated as a variable: `{% captured as moves %}…{% endcaptured %}`."""
    return content


@register.simple_tag
@cache
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; with a label it is an image for screen readers, without one it is hidden from them."""
    href = f"{static(SPRITE)}#{name}"
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>', label, href)
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"></use></svg>', href)


RISK_TONES: Final = {"medium": "neutral", "high": "warning", "critical": "danger"}


@register.simple_tag
def risk_badge(level: str) -> SafeString | str:
    """A badge for a risk worth a word: low ones go without."""
    if level == "low":
        return ""
    return format_html('<span class="badge badge-{}">{} risk</span>', RISK_TONES[level], level.capitalize())


@register.simple_tag
def status_badge(status: str) -> SafeString:
    """A badge that names a status, in its tone."""
    tone = STATUS_TONES.get(status, "neutral")
    return format_html(
        '<span class="badge badge-{}">{}</span>', tone, str(status).replace("_", " ").replace("-", " ").capitalize()
    )


@register.simple_tag
def ago(moment: datetime | None, never: str = "Never") -> SafeString:
    """How long ago an aware datetime was, as <time> with the exact moment in its title; `never` for None."""
    if moment is None:
        return format_html('<span class="subtle">{}</span>', never)
    seconds = (now() - moment).total_seconds()
    words = "just now" if seconds < 60 else f"{timesince(moment, depth=1)} ago"
    exact = date_format(localtime(moment), "j F Y, H:i")
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, words)


@register.simple_tag
def page_numbers(page: Page[Any]) -> Iterable[int | str]:
    """The page numbers a pagination shows: both ends, the neighbours of the page, and "…" for what is left out."""
    return page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)


@register.filter
def wrapped_address(address: str) -> SafeString:
    """An e-mail address that breaks behind its @, where there is no room for it, before it breaks in mid-word."""
    name, at, domain = address.partition("@")
    return format_html("{}{}<wbr>{}", name, at, domain)


@register.filter
def place_in(label: str, document: str) -> str:
    """A place such as “Returns › EU” beside its document's name, which as the first heading is not said twice."""
    return "" if label == document else label.removeprefix(f"{document} › ")


BROWSERS: Final = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
SYSTEMS: Final = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS": "macOS", "Linux": "Linux",
}  # fmt: skip


@register.filter
def device(user_agent: str) -> str:
    """ "Chrome on Linux" for a browser's User-Agent; any other program's is shown as it names itself."""
    # The order counts: most browsers also name those that they descend from.
    browser = next((name for mark, name in BROWSERS.items() if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    if browser and user_agent.startswith("Mozilla/"):
        return f"{browser} on {system}" if system else browser
    return user_agent or "Unknown app"
