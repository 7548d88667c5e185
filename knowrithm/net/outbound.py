"""The only HTTP client for calls that leave the platform.

Every connection, also after a redirect, is made by `_CheckedBackend`: it resolves, checks and connects to the checked
address, while TLS and the Host header keep the name. Connections kept alive were checked when they were made.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import httpcore2
import httpx2

from knowrithm.net.policy import OutboundError, OutboundRefusedError, checked_addresses

__all__ = ["FetchedPage", "OutboundError", "OutboundRefusedError", "fetch", "outbound_client", "post_form"]

MAX_REDIRECTS = 5
CONNECT_TIMEOUT = 10.0
MAX_ADDRESSES = 4
USER_AGENT = "Knowrithm/1.0"


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """What a server answered, redirects followed: `url` is the last address, `content_type` without parameters."""

    url: str
    status: int
    content_type: str
    body: bytes
    filename: str


def outbound_client(*, timeout: float, follow_redirects: bool = False) -> httpx2.Client:
    """An HTTP client that reaches public addresses only (and those of `OUTBOUND_ALLOW`).

    `timeout` is the longest wait in seconds for the next byte. Its calls raise `OutboundRefusedError` for what the
    policy forbids, `OutboundError` for a name that does not resolve, `httpx2.HTTPError` for the rest. Safe to share
    between threads; the caller closes it.
    """
    return httpx2.Client(
        transport=_CheckedTransport(),
        timeout=httpx2.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
        follow_redirects=follow_redirects,
        max_redirects=MAX_REDIRECTS,
        headers={"User-Agent": USER_AGENT},
        trust_env=False,
    )


def fetch(url: str, *, max_bytes: int, timeout: float, accept: str = "*/*") -> FetchedPage:
    """Download one address, following at most five redirects.

    `timeout` bounds the whole download in seconds, `max_bytes` the decoded body, `accept` is the Accept header. Any
    status is returned, also an error's. Raises `OutboundError` only.
    """
    deadline = time.monotonic() + timeout
    # Compressed bodies could unpack to far more than was sent.
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
    try:
        with (
            outbound_client(timeout=timeout, follow_redirects=True) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            return _page(response, max_bytes=max_bytes, deadline=deadline)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise outbound_error(error) from error


def post_form(
    url: str, form: Mapping[str, str], *, max_bytes: int, timeout: float, auth: tuple[str, str] | None = None
) -> FetchedPage:
    """Send a form and read the answer; redirects are not followed. `auth` is a name and password for HTTP Basic.

    Limits and errors are those of `fetch`.
    """
    deadline = time.monotonic() + timeout
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        with (
            outbound_client(timeout=timeout) as client,
            client.stream("POST", url, data=dict(form), headers=headers, auth=auth) as response,
        ):
            return _page(response, max_bytes=max_bytes, deadline=deadline)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise outbound_error(error) from error


def _page(response: httpx2.Response, *, max_bytes: int, deadline: float) -> FetchedPage:
    return FetchedPage(
        url=str(response.url),
        status=response.status_code,
        content_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        body=_read_body(response, max_bytes=max_bytes, deadline=deadline),
        filename=_filename(response),
    )


def outbound_error(error: httpx2.HTTPError | httpx2.InvalidURL) -> OutboundError:
    """The same failure as a plain sentence."""
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return OutboundRefusedError("The address is not a valid http or https address.")
    if isinstance(error, httpx2.TooManyRedirects):
        return OutboundError(f"The address redirects more than {MAX_REDIRECTS} times.", permanent=True)
    if isinstance(error, httpx2.TimeoutException):
        return OutboundError("The server did not answer in time.")
    if isinstance(error, httpx2.ConnectError):
        return OutboundError(f"The server could not be reached: {error}.")
    return OutboundError("The connection to the server broke off.")


def _read_body(response: httpx2.Response, *, max_bytes: int, deadline: float) -> bytes:
    too_large = OutboundError(f"The file is larger than the {max_bytes} bytes allowed.", permanent=True)
    declared = response.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
        if time.monotonic() > deadline:
            raise OutboundError("The server did not send the whole file in time.")
    return bytes(body)


def _filename(response: httpx2.Response) -> str:
    """The name the server gives the file, else the last part of its address; never a path, perhaps empty."""
    header = Message()
    header["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    given = header.get_filename() or unquote(response.url.path)
    name = PurePosixPath(given.replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[:255]


class _CheckedBackend(httpcore2.NetworkBackend):
    def __init__(self) -> None:
        self._tcp = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = checked_addresses(host, port)[:MAX_ADDRESSES]
        for address in addresses[:-1]:
            try:
                return self._tcp.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return self._tcp.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)


class _CheckedTransport(httpx2.HTTPTransport):
    def __init__(self) -> None:
        # httpx has no parameter for the network backend; the pool is what its transport is made of.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=30.0,
            network_backend=_CheckedBackend(),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.scheme not in ("http", "https"):
            raise OutboundRefusedError("Only http and https addresses can be reached.")
        return super().handle_request(request)


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    # Loading the certificate authorities takes tens of milliseconds: once per process.
    return httpx2.create_ssl_context(trust_env=False)
