"""The only HTTP client for calls that leave the platform.

Every connection, also after a redirect, is made by `_CheckedBackend`: it resolves, checks and connects to the checked
address, while TLS and the Host header keep the name. Connections kept alive were checked when they were made.
"""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.message import Message
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import httpcore2
import httpx2

from knowrithm.net.policy import OutboundError, OutboundRefusedError, checked_addresses

__all__ = [
    "Allowance",
    "FetchedPage",
    "OutboundError",
    "OutboundLimitError",
    "OutboundRefusedError",
    "fetch",
    "outbound_client",
    "post",
    "post_form",
    "within",
]

MAX_REDIRECTS = 5
CONNECT_TIMEOUT = 10.0
MAX_ADDRESSES = 4
USER_AGENT = "Knowrithm/1.0"


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """What a server answered, redirects followed: `url` is the last address, `content_type` without parameters.

    `headers` have lower-case names.
    """

    url: str
    status: int
    content_type: str
    body: bytes
    filename: str
    headers: Mapping[str, str] = field(default_factory=dict)


LOOK_UP = 0.4  # seconds after which a waiting read asks whether it is wanted


class OutboundLimitError(OutboundError):
    """The other side sent more than an `Allowance` had room for."""


@dataclass(slots=True)
class Allowance:
    """What the calls made `within` it may take: no wait goes beyond `deadline` (of `time.monotonic`), and no more than
    `bytes_left` are read. Both may be changed between two calls. A wait ends early once `is_wanted` says no.
    """

    deadline: float | None = None
    bytes_left: int | None = None
    is_wanted: Callable[[], bool] | None = None


_allowance: ContextVar[Allowance | None] = ContextVar("outbound_allowance", default=None)


@contextmanager
def within(allowance: Allowance) -> Iterator[None]:
    """Hold every outbound call of this thread to the allowance, through whatever SDK it is made."""
    token = _allowance.set(allowance)
    try:
        yield
    finally:
        _allowance.reset(token)


def outbound_client(
    *,
    timeout: float,
    follow_redirects: bool = False,
    deadline: float | None = None,
    connect_timeout: float = CONNECT_TIMEOUT,
) -> httpx2.Client:
    """An HTTP client that reaches public addresses only (and those of `OUTBOUND_ALLOW`).

    `timeout` is the longest wait in seconds for the next byte; `deadline` (of `time.monotonic`) ends every wait.
    Its calls raise `OutboundRefusedError` for what the policy forbids, `OutboundError` for a name that does not
    resolve, `httpx2.HTTPError` for the rest. Safe to share between threads; the caller closes it.
    """
    return httpx2.Client(
        transport=_CheckedTransport(deadline),
        timeout=httpx2.Timeout(timeout, connect=min(timeout, connect_timeout)),
        follow_redirects=follow_redirects,
        max_redirects=MAX_REDIRECTS,
        headers={"User-Agent": USER_AGENT},
        trust_env=False,
    )


def fetch(
    url: str,
    *,
    max_bytes: int,
    timeout: float,
    accept: str = "*/*",
    headers: Mapping[str, str] | None = None,
    follow_redirects: bool = True,
    is_wanted: Callable[[str], bool] = lambda content_type: True,
) -> FetchedPage:
    """Download one address, following at most five redirects unless `follow_redirects` is off.

    `timeout` bounds the whole download in seconds, `max_bytes` the decoded body, `accept` is the Accept header. The
    body is left unread, and empty, when `is_wanted` says no to its type. Any status is returned, also an error's.
    Raises `OutboundError` only.
    """
    deadline = time.monotonic() + timeout
    # Compressed bodies could unpack to far more than was sent.
    sent = {"Accept": accept, "Accept-Encoding": "identity", **(headers or {})}
    try:
        with (
            outbound_client(timeout=timeout, follow_redirects=follow_redirects, deadline=deadline) as client,
            client.stream("GET", url, headers=sent) as response,
        ):
            return _page(response, max_bytes=max_bytes, deadline=deadline, is_wanted=is_wanted)
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
            outbound_client(timeout=timeout, deadline=deadline) as client,
            client.stream("POST", url, data=dict(form), headers=headers, auth=auth) as response,
        ):
            return _page(response, max_bytes=max_bytes, deadline=deadline)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise outbound_error(error) from error


def post(url: str, content: bytes, *, headers: Mapping[str, str], keep_bytes: int, timeout: float) -> FetchedPage:
    """Send `content` and hear how it was taken: the status, and at most `keep_bytes` of the body, however long it is.

    Redirects are not followed. `timeout` bounds all of it in seconds; once the status is there, a body that is late or
    breaks off is kept as far as it came. Raises `OutboundError` only.
    """
    deadline = time.monotonic() + timeout
    sent = {"Accept-Encoding": "identity", **headers}
    try:
        with (
            outbound_client(timeout=timeout, deadline=deadline) as client,
            client.stream("POST", url, content=content, headers=sent) as response,
        ):
            body = bytearray()
            with suppress(httpx2.HTTPError):
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) >= keep_bytes or time.monotonic() > deadline:
                        break
            return FetchedPage(
                url=url, status=response.status_code, content_type="", body=bytes(body[:keep_bytes]), filename=""
            )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise outbound_error(error) from error


def _page(
    response: httpx2.Response,
    *,
    max_bytes: int,
    deadline: float,
    is_wanted: Callable[[str], bool] = lambda content_type: True,
) -> FetchedPage:
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return FetchedPage(
        url=str(response.url),
        status=response.status_code,
        content_type=content_type,
        body=_read_body(response, max_bytes=max_bytes, deadline=deadline) if is_wanted(content_type) else b"",
        filename=_filename(response),
        headers={name.lower(): value for name, value in response.headers.items()},
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
    late = OutboundError("The server did not send the whole file in time.")
    body = bytearray()
    try:
        for chunk in _unpacked(response, max_bytes + 1):
            body += chunk
            if len(body) > max_bytes:
                raise too_large
            if time.monotonic() > deadline:
                raise late
    except httpx2.ReadTimeout:
        raise late from None
    return bytes(body)


def _unpacked(response: httpx2.Response, piece_size: int) -> Iterator[bytes]:
    """The decoded body in pieces of at most `piece_size` bytes: some servers compress although asked not to."""
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding in {"", "identity"}:
        yield from response.iter_raw()
        return
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise OutboundError("The server compresses its answer in a way that cannot be read.", permanent=True)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as the first bytes say
    try:
        for chunk in response.iter_raw():
            packed = chunk
            while packed and not unpacker.eof:
                yield unpacker.decompress(packed, piece_size)
                packed = unpacker.unconsumed_tail
    except zlib.error:
        raise OutboundError("The server's compressed answer is damaged.", permanent=True) from None


def _filename(response: httpx2.Response) -> str:
    """The name the server gives the file, else the last part of its address; never a path, perhaps empty."""
    header = Message()
    header["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    given = header.get_filename() or unquote(response.url.path)
    name = PurePosixPath(given.replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[:255]


class _CheckedBackend(httpcore2.NetworkBackend):
    def __init__(self, deadline: float | None) -> None:
        self._tcp = httpcore2.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        wait = _until(self._deadline, timeout, httpcore2.ConnectTimeout)
        addresses = checked_addresses(host, port, seconds=wait)[:MAX_ADDRESSES]
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, timeout, local_address, socket_options)

    def _connect(self, address: str, port: int, timeout: float | None, *options: Any) -> httpcore2.NetworkStream:
        wait = _until(self._deadline, timeout, httpcore2.ConnectTimeout)
        return _TimedStream(self._tcp.connect_tcp(address, port, wait, *options), self._deadline)


class _TimedStream(httpcore2.NetworkStream):
    """No wait goes beyond the client's deadline nor the `Allowance`: a server that sends its headers byte by byte
    would else hold us for ever.
    """

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float | None) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        allowance = _allowance.get()
        if allowance is None or allowance.is_wanted is None:
            data = self._stream.read(max_bytes, _until(self._deadline, timeout, httpcore2.ReadTimeout))
        else:
            data = self._read_while(allowance.is_wanted, max_bytes, timeout)
        if allowance is not None and allowance.bytes_left is not None:
            allowance.bytes_left -= len(data)
            if allowance.bytes_left < 0:
                raise OutboundLimitError("The answer is far longer than was asked for.", permanent=True)
        return data

    def _read_while(self, is_wanted: Callable[[], bool], max_bytes: int, timeout: float | None) -> bytes:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _until(self._deadline, None if end is None else end - time.monotonic(), httpcore2.ReadTimeout)
            try:
                return self._stream.read(max_bytes, LOOK_UP if left is None else min(left, LOOK_UP))
            except httpcore2.ReadTimeout:
                if not is_wanted():
                    raise OutboundError("The answer is not wanted any more.", permanent=True) from None
                if left is not None and left <= LOOK_UP:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _until(self._deadline, timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        wait = _until(self._deadline, timeout, httpcore2.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, wait), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _until(deadline: float | None, timeout: float | None, late: type[Exception]) -> float | None:
    """Seconds to wait at most, None for any. Raises `late` when there are none left."""
    allowance = _allowance.get()
    ends = [end for end in (deadline, allowance.deadline if allowance else None) if end is not None]
    if not ends:
        return timeout
    left = min(ends) - time.monotonic()
    if left <= 0:
        raise late("the deadline has passed")
    return left if timeout is None else min(left, timeout)


class _CheckedTransport(httpx2.HTTPTransport):
    def __init__(self, deadline: float | None) -> None:
        # httpx has no parameter for the network backend; the pool is what its transport is made of.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=30.0,
            network_backend=_CheckedBackend(deadline),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.scheme not in ("http", "https"):
            raise OutboundRefusedError("Only http and https addresses can be reached.")
        return super().handle_request(request)


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    # Loading the certificate authorities takes tens of milliseconds: once per process.
    return httpx2.create_ssl_context(trust_env=False)
