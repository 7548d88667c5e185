"""Typed readers of the environment. `NAME_FILE` may hold the path of a file with the value (for secrets)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    return os.environ.get(name) or default


def boolean(name: str, default: bool = False) -> bool:
    value = text(name).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if value:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")
    return default


def integer(name: str, default: int) -> int:
    value = text(name)
    try:
        return int(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None


def web_address(name: str) -> str:
    """Empty, or an address that a page may link to."""
    value = text(name)
    if value and urlsplit(value).scheme not in {"http", "https"}:
        raise ImproperlyConfigured(f"{name} must begin with https:// or http://, not {value!r}.")
    return value


def items(name: str) -> list[str]:
    return [item.strip() for item in text(name).split(",") if item.strip()]


def secret(name: str, *, debug: bool) -> str:
    """A secret without a default: only DEBUG may go without one."""
    value = text(name)
    if not value and not debug:
        raise ImproperlyConfigured(f"{name} is not set. `make run` generates it; elsewhere set it (or {name}_FILE).")
    return value or f"insecure-{name.lower()}-for-debugging-only"


def database(url: str) -> dict[str, Any]:
    """Django's connection settings from a `postgresql://user:password@host:port/name` address or `POSTGRES_*`."""
    if not url:
        return {
            "NAME": text("POSTGRES_DB", "knowrithm"),
            "USER": text("POSTGRES_USER", "knowrithm"),
            "PASSWORD": text("POSTGRES_PASSWORD"),
            "HOST": text("POSTGRES_HOST", "127.0.0.1"),
            "PORT": integer("POSTGRES_PORT", 5432),
            "OPTIONS": {},
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must start with postgresql://")
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or 5432,
        "OPTIONS": dict(parse_qsl(parts.query)),  # sslmode and the like
    }
