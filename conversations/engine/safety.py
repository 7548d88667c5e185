"""An answer as it may be shown anywhere: text with a small Markdown subset.

Links go only to the hosts of cited sources and to allowed ones, images only to allowed ones; other links become text,
other images go. HTML is broken. The text itself is made safe, not its drawing: clients of the API draw it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_DESTINATION = r"<[^<>\n]{0,2000}>|[^\s()]{0,2000}(?:\([^\s()]{0,500}\)[^\s()]{0,500}){0,3}"
_TITLE = r"""(?:\s+(?:"[^"\n]{0,300}"|'[^'\n]{0,300}'|\([^()\n]{0,300}\)))?"""
IMAGE = re.compile(
    rf"!\[(?P<text>[^\]\n]{{0,300}})\](?:\(\s*(?P<to>{_DESTINATION}){_TITLE}\s*\)|\[[^\]\n]{{0,300}}\])?"
)
LINK = re.compile(rf"\[(?P<text>[^\[\]\n]{{0,300}})\]\(\s*(?P<to>{_DESTINATION}){_TITLE}\s*\)")
OPENED = re.compile(r"(?<=\])\(")  # what would make a link of what stands before and after, wherever that ends
DEFINITION = re.compile(r"(?<=\]):(?=\s*(?:<|[a-zA-Z][\w+.-]{1,20}:|[/\\]|$))", re.MULTILINE)
REFERENCE = re.compile(r"(?<=\])(?=\[(?!source\b))", re.IGNORECASE)
MARKER = re.compile(r"(?:source )?\d[\d, ]*", re.IGNORECASE)
TAG = re.compile(r"<(?=(?P<name>/?[A-Za-z][\w:-]{0,40}|[!?])(?P<rest>[^<>]{0,2000})(?P<end>>?))")
AUTOLINK = re.compile(r"<(https?://[^\s<>]{1,2000})>", re.IGNORECASE)
CODE = re.compile(r"(```(?s:.*?)(?:```|\Z)|`[^`\n]{1,500}`)")
ADDRESS = re.compile(
    r"""(?:\b[a-z][a-z0-9+.-]{1,20}://|\bwww\.)[^\s<>`"|]{1,2000}|\bmailto:[^\s<>`"|]{1,500}""", re.IGNORECASE
)
LOADS_OR_LINKS = re.compile(
    "a|applet|area|audio|base|body|button|embed|form|frame|frameset|head|html|iframe|image|img|input|link|math|meta"
    "|noscript|object|picture|script|source|style|svg|template|textarea|title|track|video|xmp"
)
TRAILING = ".,;:!?)]}'*_~"


@dataclass(frozen=True, slots=True)
class SafeText:
    """`removed` names what was taken out, in sentences, each once."""

    text: str
    removed: tuple[str, ...] = ()


def make_safe(
    text: str, *, link_hosts: Iterable[str] = (), image_hosts: Iterable[str] = (), in_code: bool = False
) -> SafeText:
    """Hosts in lower case; `*.example.com` stands for its subdomains. `in_code`: the text begins in a ``` block."""
    return _Cleaning(frozenset(link_hosts), frozenset(image_hosts)).clean(text, in_code)


def host_of(url: str) -> str:
    """The host of an http(s) address in lower case; empty for what else there is, or what browsers read differently."""
    if re.search(r"[\s\\<>\x00-\x1f]", url):
        return ""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        has_user = "@" in parts.netloc
    except ValueError:
        return ""
    return host if parts.scheme.lower() in {"http", "https"} and not has_user else ""


def is_among(host: str, hosts: Iterable[str]) -> bool:
    """Whether the host is one of them, or a subdomain of one that is written `*.example.com`."""
    return bool(host) and any(host == known or (known.startswith("*.") and host.endswith(known[1:])) for known in hosts)


class _Cleaning:
    def __init__(self, link_hosts: frozenset[str], image_hosts: frozenset[str]) -> None:
        self.link_hosts, self.image_hosts = link_hosts, image_hosts
        self.removed: dict[str, None] = {}

    def clean(self, text: str, in_code: bool) -> SafeText:
        text = text.replace(_KEPT, "").replace(_KEPT_IMAGE, "")
        text = TAG.sub(self._tag, AUTOLINK.sub(r"\1", text))
        text = LINK.sub(self._link, IMAGE.sub(self._image, text))
        # What the two have let through is a construct whose end is elsewhere, or one that only a reader would mend.
        text = REFERENCE.sub(" ", DEFINITION.sub(" :", _outside_allowed(text, self)))
        head, fence, tail = text.partition("```") if in_code else ("", "", text)
        if in_code and not fence:
            return SafeText(text, tuple(self.removed))
        parts = CODE.split(tail)
        parts[::2] = [ADDRESS.sub(self._address, part) for part in parts[::2]]
        return SafeText(head + fence + "".join(parts), tuple(self.removed))

    def _tag(self, match: re.Match[str]) -> str:
        name, rest = match["name"].strip("/").lower(), match["rest"].strip(" /")
        is_plain = name not in {"!", "?"} and LOADS_OR_LINKS.fullmatch(name) is None and not (match["end"] and rest)
        return "<" if is_plain else "‹"

    def _image(self, match: re.Match[str]) -> str:
        if is_among(host_of(_bare(match["to"])), self.image_hosts):
            return match[0].replace("![", _KEPT_IMAGE, 1).replace("](", _KEPT, 1)
        self.removed["An image was removed from the answer."] = None
        return match["text"]

    def _link(self, match: re.Match[str]) -> str:
        text, to = match["text"], _bare(match["to"])
        host = host_of(to)
        if is_among(host, self.link_hosts):
            return match[0].replace("](", _KEPT, 1)
        shown = f"[{text}]" if MARKER.fullmatch(text) else text
        if host:
            self._note(host)
            return f"{shown} ({_as_code(to)})"
        return shown

    def _address(self, match: re.Match[str]) -> str:
        found = match[0]
        url = found.rstrip(TRAILING)
        host = host_of(f"http://{url}" if url[:4].lower() == "www." else url)
        if is_among(host, self.link_hosts | self.image_hosts):
            return found
        if host:
            self._note(host)
        return _as_code(url) + found[len(url) :]

    def _note(self, host: str) -> None:
        self.removed[f"A link to {host[:200]} was shown as text."] = None


# Private-use characters that stand for what was allowed while the rest is broken.
_KEPT, _KEPT_IMAGE = "\ue0f0", "\ue0f1"


def _outside_allowed(text: str, cleaning: _Cleaning) -> str:
    if "![" in text:
        cleaning.removed["An image was removed from the answer."] = None
    text = OPENED.sub(" (", re.sub(r"!+\[", "[", text))
    return text.replace(_KEPT_IMAGE, "![").replace(_KEPT, "](")


def _bare(destination: str | None) -> str:
    return (destination or "").strip().removeprefix("<").removesuffix(">")


def _as_code(url: str) -> str:
    return f"`{url}`"
