"""How an agent's widget looks, what it asks of visitors, and which sites may show it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from agents.enums import AgentStatus, Ask, AskedField, FieldKind, Placement, WidgetTheme
from agents.exceptions import AgentUnavailableError, OriginNotAllowedError
from agents.languages import LANGUAGES
from agents.models import Agent, LeadField
from knowrithm.errors import InvalidInputError

DEFAULT_COLOR = "#12634f"
PERSONAL_FIELDS = ("first_name", "last_name", "email", "phone")
USUAL_FIELDS = {"first_name": "required", "last_name": "required", "email": "required", "phone": "optional"}
STANDARD_CONSENT = "standard-2"  # also in widget.js; raised when the widget's own sentence changes in any language
MOST_DOMAINS, MOST_ANSWERS = 50, 20
LENGTHS = {"title": 80, "button_text": 40, "consent_text": 1000, "consent_version": 60, "marketing_text": 500}
CHOICES: dict[str, Sequence[str]] = {
    "position": Placement.values, "theme": WidgetTheme.values, "language": list(LANGUAGES), "ask": Ask.values,
}  # fmt: skip
COLOR = re.compile(r"#[0-9a-fA-F]{6}")
DOMAIN = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(:\d{1,5})?")


def widget_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """All of them: what is not stored is as usual. An empty text or choice is left to the script tag or the visitor."""
    given = dict(stored)
    fields = {**USUAL_FIELDS, **given.pop("fields", {})}
    usual: dict[str, Any] = {
        "color": DEFAULT_COLOR, "position": Placement.BOTTOM_RIGHT.value, "theme": WidgetTheme.AUTO.value,
        "language": "", "title": "", "button_text": "", "ask": Ask.BEFORE.value, "ask_after": 2, "consent_text": "",
        "consent_version": "", "marketing_text": "", "custom_fields": {},
    }  # fmt: skip
    return {**usual, **given, "fields": fields}


def public_widget_settings(stored: Mapping[str, Any], fields: Iterable[LeadField] = ()) -> dict[str, Any]:
    """What the widget is told: what its owner chose, and the version of the texts that a visitor consents to.

    `fields` are those of the company that it asks for, in their order.
    """
    shown = widget_settings(stored)
    chosen = {name: shown[name] if name in stored else "" for name in ("color", "position", "theme")}
    version = shown["consent_version"] or _version_of(shown["consent_text"], shown["marketing_text"])
    asked = [_public_field(field, shown["custom_fields"]) for field in fields]
    return {**shown, **chosen, "consent_version": version, "custom_fields": asked}


def _version_of(consent_text: str, marketing_text: str) -> str:
    """One for both texts, as the widget sends one with both consents."""
    texts = [_digest(consent_text) if consent_text else STANDARD_CONSENT]
    return "-".join([*texts, _digest(marketing_text)] if marketing_text else texts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _public_field(field: LeadField, asked: Mapping[str, str]) -> dict[str, Any]:
    return {
        "key": field.key, "name": field.name, "type": field.kind, "description": field.description,
        "options": field.options,
        "is_required": asked.get(field.key) == AskedField.REQUIRED and field.kind != FieldKind.BOOLEAN,
    }  # fmt: skip


def clean_widget_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of what somebody sent; an empty value is left out. Raises `InvalidInputError`."""
    faults: dict[str, str] = {}
    known = widget_settings({})
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            faults[name] = f"There is no such option. Use some of {', '.join(sorted(known))}."
        elif value not in ("", None):
            fault = _fault(name, value)
            if fault:
                faults[name] = fault
            else:
                kept[name] = value.strip() if isinstance(value, str) else value
    if faults:
        raise InvalidInputError(
            "The widget's settings are not right.", fields={f"widget.{name}": [text] for name, text in faults.items()}
        )
    return kept


def _fault(name: str, value: Any) -> str:
    if name == "ask_after":
        is_number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_ANSWERS
        return "" if is_number else f"Give a number from 1 to {MOST_ANSWERS}."
    if name == "fields":
        is_known = isinstance(value, dict) and set(value) <= set(PERSONAL_FIELDS)
        is_right = is_known and all(one in AskedField.values for one in value.values())
        return "" if is_right else f"Give one of {', '.join(AskedField)} for each of {', '.join(PERSONAL_FIELDS)}."
    if name == "custom_fields":
        is_right = isinstance(value, dict) and all(one in AskedField.values for one in value.values())
        return "" if is_right else f"Give one of {', '.join(AskedField)} for each key of your leads' custom fields."
    if not isinstance(value, str):
        return "Give a text."
    if name == "color":
        return "" if COLOR.fullmatch(value) else "Give a colour such as #12634f."
    if name in CHOICES:
        return "" if value in CHOICES[name] else f"Use one of {', '.join(CHOICES[name])}."
    return "" if len(value) <= LENGTHS[name] else f"Give at most {LENGTHS[name]} characters."


def clean_domains(given: Sequence[Any]) -> list[str]:
    """Host names such as `example.com`, `*.example.com` or `localhost:3000`. Raises `InvalidInputError`."""
    domains = list(dict.fromkeys(_domain(str(value)) for value in given if str(value).strip()))
    fault = ""
    if len(domains) > MOST_DOMAINS:
        fault = f"Give at most {MOST_DOMAINS} domains."
    elif wrong := [domain for domain in domains if not DOMAIN.fullmatch(domain) or len(domain) > 253]:
        fault = f"{wrong[0][:80]!r} is no domain. Write it like example.com, or *.example.com for all below it."
    if fault:
        raise InvalidInputError(fault, fields={"allowed_domains": [fault]})
    return domains


def _domain(text: str) -> str:
    """As browsers write it in `Origin`: without scheme and path, in ASCII."""
    text = text.strip().lower()
    text = (text.partition("://")[2] or text).partition("/")[0]
    star, text = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        host, colon, port = text.partition(":")
        return star + host.encode("idna").decode() + colon + port
    except UnicodeError:
        return star + text


def check_origin(agent: Agent, headers: Mapping[str, str], *, is_needed: bool = True) -> None:
    """That a page of this origin may show the agent's widget. Raises `OriginNotAllowedError`.

    Pages of this installation always may. Browsers name the origin wherever a page of another one calls, and with
    every POST; a call that names none comes from no page, and passes only where `is_needed` is False.
    """
    origin = headers.get("Origin", "")
    if agent.allowed_domains and (origin or is_needed):
        require_allowed(agent.allowed_domains, origin, headers.get("Host", ""))


def check_active(agent: Agent) -> None:
    """That visitors may begin with it. Raises `AgentUnavailableError`."""
    if agent.status != AgentStatus.ACTIVE:
        raise AgentUnavailableError("This assistant is not available at the moment.")


def require_allowed(domains: Sequence[str], origin: str, host: str) -> None:
    """Raises `OriginNotAllowedError`."""
    if not is_allowed(domains, origin, host):
        raise OriginNotAllowedError("The chat of this agent may not be used on this site.")


def is_allowed(domains: Sequence[str], origin: str, host: str) -> bool:
    """`host` is the name by which this installation was reached; without domains every origin is allowed."""
    if not domains:
        return True
    try:
        parts = urlsplit(origin.lower())
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not name:
        return False
    if parts.netloc in {host.lower(), urlsplit(settings.BASE_URL).netloc.lower()}:
        return True
    return any(_fits(domain, name, port) for domain in domains)


def _fits(domain: str, name: str, port: int | None) -> bool:
    wanted, _, wanted_port = domain.partition(":")
    if wanted_port and wanted_port != str(port or ""):
        return False
    return name.endswith(wanted[1:]) if wanted.startswith("*.") else name == wanted
