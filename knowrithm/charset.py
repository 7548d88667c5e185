"""Requests whose Content-Type names a charset that no text can be read in.

Django knows every codec of Python by its name, and reads the query in it while the request is made: `charset=hex` or
`charset=undefined` would end the request outside of every handler of errors.
"""

from __future__ import annotations

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http.request import HttpRequest
from django.utils.http import parse_header_parameters


class _TextRequest(HttpRequest):
    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        """As Django's, but a charset that reads no text is passed over like an unknown one, and nothing is read yet."""
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        charset = self.content_params.get("charset")
        if charset and _reads_text(charset):
            self._encoding = charset


class AsgiRequest(_TextRequest, ASGIRequest):
    pass


class WsgiRequest(_TextRequest, WSGIRequest):
    pass


def _reads_text(charset: str) -> bool:
    try:
        b"\xff".decode(charset, "replace")
    except (LookupError, ValueError):
        return False
    return True
