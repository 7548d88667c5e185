"""Addresses of web pages: one spelling for each, and which of them belong to a site."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

MAX_LENGTH = 2000  # characters
MAX_SEGMENTS = 25
MAX_REPEATS = 3  # of one segment in a path: /a/b/a/b/a/b… is a trap
MAX_QUERIES = 20  # different query strings of one path in a crawl: calendars and filters never end
_TRACKING = re.compile(
    r"(utm_.*|fbclid|gclid|dclid|gbraid|wbraid|msclkid|twclid|yclid|igshid|mc_[ce]id|_ga|_gl|_hs(enc|mi)|ref_src"
    r"|phpsessid|jsessionid|sessionid|sid)",
    re.IGNORECASE,
)
_SESSION_IN_PATH = re.compile(r";jsessionid=[^/?]*", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}
_SAFE = "/:@!$&'()*+,;=-._~%?"
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
# What is no page and no document: not worth asking for.
_MEDIA = re.compile(
    r"\.(avif|bmp|gif|ico|jpe?g|png|svg|tiff?|webp|css|js|mjs|map|woff2?|ttf|otf|eot|mp[34]|m4[av]|webm|ogg|wav|flac"
    r"|avi|mov|mkv|zip|gz|tgz|bz2|xz|7z|rar|tar|exe|msi|dmg|apk|deb|rpm|iso|jar|bin|rss|atom|ics|vcf|xml|json)$",
    re.IGNORECASE,
)


def canonical(address: str, base: str = "") -> str | None:
    """The one spelling of an http address, resolved against `base`; None for what is no such address.

    No fragment, no tracking parameters, no default port, parameters in order, ASCII only.
    """
    try:
        parts = urlsplit(urljoin(base, address.strip()))
        scheme, host, port = parts.scheme.lower(), (parts.hostname or "").rstrip("."), parts.port
        host = host.encode("idna").decode() if not host.isascii() else host.lower()
    except (ValueError, UnicodeError):
        return None
    if scheme not in _PORTS or not host or parts.username or parts.password or not address.isprintable():
        return None
    if ":" in host:
        host = f"[{host}]"
    place = host if port in {None, _PORTS[scheme]} else f"{host}:{port}"
    path = _SESSION_IN_PATH.sub("", _without_dots(escaped(parts.path))) or "/"
    pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=None)
    query = urlencode(sorted(pair for pair in pairs if not _TRACKING.fullmatch(pair[0])))
    found = urlunsplit((scheme, place, path, query, ""))
    return found if len(found) <= MAX_LENGTH else None


def escaped(path: str) -> str:
    """The one spelling of a path, or of a pattern of paths: ASCII only, escaped where it has to be, in capitals."""

    def spell(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if character in _UNRESERVED else found[0].upper()

    return _ESCAPE.sub(spell, quote(path, safe=_SAFE))


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    end = "/" if kept and segments[-1] in {"", ".", ".."} else ""
    return f"/{'/'.join(kept)}{end}"


def site_of(address: str) -> str:
    """What two pages of one site share: the host without `www.`, and the port."""
    return urlsplit(address).netloc.removeprefix("www.")


def host_of(address: str) -> str:
    return urlsplit(address).netloc


def path_of(address: str) -> str:
    """Path and query, as robots.txt and a person's own patterns see them."""
    parts = urlsplit(address)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def name_of(address: str) -> str:
    """What to call a document that was read from there."""
    parts = urlsplit(address)
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    name = "".join(character for character in last if character.isprintable())
    return (name or parts.hostname or "page")[-200:]


def is_trap(address: str) -> bool:
    """A path that grows by itself."""
    segments = [segment for segment in urlsplit(address).path.split("/") if segment]
    return len(segments) > MAX_SEGMENTS or any(segments.count(one) > MAX_REPEATS for one in set(segments))


def is_media(address: str) -> bool:
    return _MEDIA.search(urlsplit(address).path) is not None


def is_allowed(address: str, allowed: Sequence[str], disallowed: Sequence[str]) -> bool:
    """By the person's own patterns: a path prefix in which `*` stands for anything and a final `$` for the end."""
    path = path_of(address)
    if any(matches(escaped(pattern), path) for pattern in disallowed):
        return False
    return not allowed or any(matches(escaped(pattern), path) for pattern in allowed)


def matches(pattern: str, path: str) -> bool:
    """As in robots.txt (RFC 9309), both of them `escaped`.

    Linear in the path for each `*`: a hostile pattern cannot take long.
    """
    is_end = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return not is_end or path == first
    place = len(first)
    for part in rest[:-1]:
        found = path.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    last = rest[-1]
    if is_end:
        return path.endswith(last) and len(path) - len(last) >= place
    return path.find(last, place) >= 0
