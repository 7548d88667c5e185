"""Generated secrets, kept in files that only their owner can read."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write the file in one step, readable by its owner only from its first byte on."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def private_password(path: Path) -> str:
    """The password kept in `path`, generated on the first call; letters and digits only."""
    if not path.exists():
        write_private(path, f"{secrets.token_hex(24)}\n")
    return path.read_text().strip()


def _encryption_key() -> str:
    """32 random bytes in the form that Fernet reads: base64 with `-` and `_`, padded."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


GENERATORS: Mapping[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "JWT_SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "ENCRYPTION_KEY": _encryption_key,
    "SUPER_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
}


def platform_secrets(path: Path) -> dict[str, str]:
    """The platform's secrets from the file `path` (`NAME=value` lines), which is completed by generated ones.

    A secret once written never changes: data are encrypted and sessions signed with them.
    """
    kept = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line) if path.exists() else {}
    complete = {name: kept.get(name) or generate() for name, generate in GENERATORS.items()}
    if complete != kept:
        write_private(path, "".join(f"{name}={value}\n" for name, value in {**kept, **complete}.items()))
    return complete
