"""Ports of the loopback interface."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int, *, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` of `host` now; errors of binding other than "in use" are raised."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def accepts(port: int, *, host: str = LOOPBACK) -> bool:
    """Whether something answers on `port`."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def remembered(path: Path) -> int:
    """The port noted in the file `path`; a fresh one, noted there, when there is none yet or it is taken now."""
    if path.exists() and is_free(port := int(path.read_text())):
        return port
    with socket.socket() as candidate:
        candidate.bind((LOOPBACK, 0))
        port = int(candidate.getsockname()[1])
    path.write_text(f"{port}\n")
    return port
