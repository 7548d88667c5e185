"""Django's sessions in the database, for browsers that send any cookie."""

from __future__ import annotations

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore


class SessionStore(DatabaseStore):
    def _validate_session_key(self, key: str | None) -> bool:
        """A cookie can carry what no column can hold, such as NUL; a key of ours is letters and digits."""
        return key is not None and len(key) >= 8 and key.isascii() and key.isalnum()
