"""Encryption at rest with a rotating list of keys: the first encrypts, every one of them decrypts."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# What `encrypt` makes, and nothing that a person types: for columns that hold both. PostgreSQL reads it alike.
CIPHERTEXT = r"^gAAAAA[A-Za-z0-9_-]{92,}={0,2}$"


@cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_as_fernet_key(key)) for key in keys])


def _as_fernet_key(key: str) -> bytes:
    """A Fernet key as it is; any other text of 32 or more characters is hashed into one."""
    try:
        if len(base64.urlsafe_b64decode(key.encode())) == 32:
            return key.encode()
    except ValueError:
        pass
    if len(key) < 32:
        raise ImproperlyConfigured("ENCRYPTION_KEY must be a Fernet key or at least 32 characters of text.")
    return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())


def encrypt(text: str) -> str:
    return _cipher(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    try:
        return _cipher(tuple(settings.ENCRYPTION_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken:
        raise ImproperlyConfigured(
            "A stored secret cannot be decrypted: the ENCRYPTION_KEY that wrote it is missing from the list."
        ) from None


def is_ciphertext(text: str) -> bool:
    return re.search(CIPHERTEXT, text) is not None


def is_under_first_key(token: str) -> bool:
    try:
        _cipher(tuple(settings.ENCRYPTION_KEYS[:1])).decrypt(token.encode())
    except InvalidToken:
        return False
    return True
