"""Which addresses the platform may reach on behalf of a company.

Companies name websites, model servers and databases; without a policy such a name is a door into the platform's
own network. A name is resolved once, the addresses are checked, and the caller connects to a checked *address*:
a second look-up could answer differently (DNS rebinding).
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RESOLVING_SECONDS = 5.0  # longer, and the caller's own deadline is gone before anything was sent


class OutboundError(Exception):
    """An outbound call failed. `str(error)` is one plain sentence; `permanent`: the same call will fail again."""

    def __init__(self, message: str, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class OutboundRefusedError(OutboundError):
    """The policy forbids the call; nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


# IANA special-purpose registries, RFC 6890 and successors.
_REFUSED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # public by number, a cloud's internal control address in fact
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Only this block is global unicast: loopback, mapped, NAT64, unique and link-local, multicast lie outside.
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_REFUSED_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries any IPv4 address
        "3fff::/20",  # documentation
    )
)


@dataclass(frozen=True, slots=True)
class _AllowList:
    networks: tuple[Network, ...]
    names: frozenset[str]


def checked_addresses(host: str, port: int, *, seconds: float | None = None) -> tuple[str, ...]:
    """Resolve `host` and return the addresses that may be connected to, in the resolver's order.

    Raises `OutboundRefusedError` when there are none, `OutboundError` when the name cannot be resolved in `seconds`,
    of which there are never more than `RESOLVING_SECONDS`.
    Names, addresses and networks listed in the environment variable `OUTBOUND_ALLOW` are permitted although private.
    """
    name = host.strip("[]").rstrip(".").lower()
    if not name:
        raise OutboundRefusedError("The address names no host.")
    allow = _allow_list(os.environ.get("OUTBOUND_ALLOW", ""))
    addresses = _resolve(name, port, min(RESOLVING_SECONDS, seconds or RESOLVING_SECONDS))
    permitted = tuple(str(a) for a in addresses if name in allow.names or _is_permitted(a, allow.networks))
    if not permitted:
        raise OutboundRefusedError(
            f"Connections to {name} are not allowed: it is not a public address. "
            "Who runs this installation can allow it with OUTBOUND_ALLOW."
        )
    return permitted


def is_global(address: Address) -> bool:
    """Whether an address belongs to the public Internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _REFUSED_IPV6)


def _is_permitted(address: Address, allowed: Iterable[Network]) -> bool:
    return is_global(address) or any(address in network for network in allowed)


def _resolve(name: str, port: int, seconds: float) -> list[Address]:
    answered: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            # The system's resolver also reads decimal, octal and hexadecimal forms: what it says is what is checked.
            answered.set_result(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except Exception as error:  # raised below, in the thread that waits
            answered.set_exception(error)

    # The system's resolver takes no deadline: a thread that it holds is left to it.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answers = answered.result(seconds)
    except TimeoutError:
        raise OutboundError(f"The host name {name} could not be found in time.") from None
    except socket.gaierror as error:
        permanent = error.errno == socket.EAI_NONAME
        raise OutboundError(f"The host name {name} could not be found.", permanent) from error
    except UnicodeError as error:
        raise OutboundRefusedError("The address holds no valid host name.") from error
    return list(dict.fromkeys(ip_address(answer[4][0]) for answer in answers))


@lru_cache(maxsize=8)
def _allow_list(text: str) -> _AllowList:
    networks: list[Network] = []
    names: set[str] = set()
    for entry in filter(None, (part.strip().lower() for part in text.split(","))):
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            names.add(entry.rstrip("."))
    return _AllowList(networks=tuple(networks), names=frozenset(names))
