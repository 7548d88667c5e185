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
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from queue import Empty, SimpleQueue

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


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


def checked_addresses(host: str, port: int) -> tuple[str, ...]:
    """Resolve `host` and return the addresses that may be connected to, in the resolver's order.

    Raises `OutboundRefusedError` when there are none, `OutboundError` when the name cannot be resolved. Names,
    addresses and networks listed in the environment variable `OUTBOUND_ALLOW` are permitted although private.
    """
    name = host.strip("[]").rstrip(".").lower()
    if not name:
        raise OutboundRefusedError("The address names no host.")
    allow = _allow_list(os.environ.get("OUTBOUND_ALLOW", ""))
    addresses = _resolve(name, port)
    permitted = tuple(str(a) for a in addresses if name in allow.names or _is_permitted(a, allow.networks))
    if not permitted:
        raise OutboundRefusedError(
            f"Connections to {name} are not allowed: it is not a public address. "
            "Who runs this installation can allow it with OUTBOUND_ALLOW."
        )
    return permitted


def check_host(host: str, port: int, *, seconds: float) -> None:
    """Raise what a call to the host would raise, `OutboundError` too when its name is not resolved in `seconds`."""
    raised: SimpleQueue[OutboundError | None] = SimpleQueue()

    def check() -> None:
        try:
            checked_addresses(host, port)
        except OutboundError as error:
            raised.put(error)
        else:
            raised.put(None)

    # The system's resolver takes no deadline: a thread that it holds is left to it.
    threading.Thread(target=check, name="check-host", daemon=True).start()
    try:
        error = raised.get(timeout=seconds)
    except Empty:
        error = OutboundError(f"The host name {host} could not be found in time.")
    if error is not None:
        raise error


def is_global(address: Address) -> bool:
    """Whether an address belongs to the public Internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _REFUSED_IPV6)


def _is_permitted(address: Address, allowed: Iterable[Network]) -> bool:
    return is_global(address) or any(address in network for network in allowed)


def _resolve(name: str, port: int) -> list[Address]:
    try:
        # The system's resolver also reads decimal, octal and hexadecimal forms: what it says is what is checked.
        answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
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
