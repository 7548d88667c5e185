"""A web page: its own content without what stands around it, and what it says to a crawler."""

from __future__ import annotations

import codecs
import copy
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from lxml import etree, html

from documents.ingestion.base import DamagedDocumentError
from documents.ingestion.web.addresses import canonical

MAX_LINKS = 2000  # of one page
_DROPPED = (
    "script", "style", "noscript", "template", "nav", "svg", "iframe", "object", "canvas", "button", "select",
    "dialog", "form",
)  # fmt: skip
_DROPPED_ROLES = ("navigation", "search", "menu", "banner", "contentinfo", "dialog", "complementary")
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
    "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "legend", "li",
    "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_ENOUGH = 0.3  # of the page's text: where less is left, the extraction has missed the point of the page
_SHORT = 20  # characters: so short a text is found anywhere, and must stand alone
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class WebPage:
    """`html` is the page without what stands around its content; `digest` is over the text of that.

    `canonical` is the address that the page gives itself, "" where it gives none.
    """

    title: str
    language: str
    html: str
    digest: str
    length: int  # characters of text
    links: tuple[str, ...]
    canonical: str
    is_noindex: bool
    is_nofollow: bool


def read_page(text: str, url: str, *, robots_tag: str = "") -> WebPage:
    """`robots_tag` is the header X-Robots-Tag. Raises `DamagedDocumentError` for what is no HTML."""
    root = _parse(text)
    base = canonical((root.xpath("string(//base/@href)") or "").strip(), url) or url
    directives = _directives(root, robots_tag)
    links = () if "nofollow" in directives else _links(root, base)
    title = " ".join((root.findtext(".//title") or root.findtext(".//h1") or "").split())[:300]
    named = root.xpath("string(//link[@rel='canonical']/@href)").strip()
    own = canonical(named, base) if named else ""
    content = _content(root)
    plain = _SPACE.sub(" ", content.text_content()).strip()
    return WebPage(
        title=title,
        language=(root.get("lang") or "").strip()[:20],
        html=_document(content, title, root.get("lang") or ""),
        digest=hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest(),
        length=len(plain),
        links=links,
        canonical=own or "",
        is_noindex="noindex" in directives,
        is_nofollow="nofollow" in directives,
    )


def declared_charset(content_type: str, body: bytes) -> str:
    """By the header, else by the page itself; "" where neither names one that there is."""
    found = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    named = found[1] if found else ""
    if not named and (inside := re.search(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]+)", body[:4096], re.I)):
        named = inside[1].decode("ascii", "replace")
    try:
        return codecs.lookup(named).name if named else ""
    except LookupError:
        return ""


def _parse(text: str) -> Any:
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text.removeprefix("\ufeff")).replace("\0", "")
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    try:
        return html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise DamagedDocumentError("The page holds no HTML that can be read.") from error


def _directives(root: Any, robots_tag: str) -> set[str]:
    said = [robots_tag.rpartition(":")[2]]
    for tag in root.iter("meta"):
        if (tag.get("name") or "").strip().lower() in {"robots", "knowrithmbot"}:
            said.append(tag.get("content") or "")
    words = {word.strip().lower() for text in said for word in text.split(",")}
    return words | ({"noindex", "nofollow"} if "none" in words else set())


def _links(root: Any, base: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for link in root.iter("a", "area"):
        if "nofollow" in (link.get("rel") or "").lower().split() or not link.get("href"):
            continue
        address = canonical(link.get("href"), base)
        if address is not None:
            found.setdefault(address)
            if len(found) == MAX_LINKS:
                break
    return tuple(found)


def _content(root: Any) -> Any:
    """The body without what trafilatura takes for something other than the page's own content."""
    tree = copy.deepcopy(root)
    body = tree.find("body")
    body = body if body is not None else tree
    roles = " or ".join(f"@role='{role}'" for role in _DROPPED_ROLES)
    for element in body.xpath(f".//*[{roles} or @hidden or @aria-hidden='true']"):
        _drop(element)
    for element in [*body.iter(*_DROPPED), *body.xpath("./header | ./footer | ./aside")]:
        _drop(element)
    whole = _length(body)
    kept = copy.deepcopy(body)
    _keep_only(kept, _main_text(tree))
    return kept if whole and _length(kept) >= _ENOUGH * whole else body


def _main_text(tree: Any) -> tuple[str, frozenset[str]]:
    """What trafilatura finds, without white space; and the texts of its elements, for what is short."""
    from trafilatura import bare_extraction

    found = bare_extraction(
        copy.deepcopy(tree), fast=True, include_comments=False, include_tables=True, favor_recall=True, config=_config()
    )
    content = getattr(found, "body", None)
    if content is None:
        return "", frozenset()
    return _bare("".join(content.itertext())), frozenset(_bare("".join(one.itertext())) for one in content.iter())


@cache
def _config() -> Any:
    """Short pages are pages too; time is limited from outside."""
    from trafilatura.settings import DEFAULT_CONFIG

    config = copy.deepcopy(DEFAULT_CONFIG)
    for name in ("MIN_EXTRACTED_SIZE", "MIN_OUTPUT_SIZE"):
        config.set("DEFAULT", name, "1")
    config.set("DEFAULT", "EXTRACTION_TIMEOUT", "0")
    return config


def _keep_only(body: Any, main: tuple[str, frozenset[str]]) -> None:
    whole, pieces = main

    def is_main(text: str) -> bool:
        bare = _bare(text)
        return not bare or (bare in pieces if len(bare) < _SHORT else bare in whole)

    containers = {ancestor for element in body.iter(*_BLOCKS) for ancestor in element.iterancestors()}
    for element in list(body.iter()):
        if not isinstance(element.tag, str) or element is body:
            continue
        is_row = element.tag == "tr"
        if element.tag in _HEADINGS or element.tag in {"td", "th"}:
            continue
        if element.tag in _BLOCKS and (is_row or element not in containers):
            if not is_main(element.text_content()):
                _drop(element)
        elif element in containers:
            if element.text and not is_main(element.text):
                element.text = None
            for child in element:
                if child.tail and not is_main(child.tail):
                    child.tail = None
    _drop_lone_headings(body)


def _drop_lone_headings(body: Any) -> None:
    """Those under which nothing is left."""
    pending: list[tuple[int, Any]] = []
    lone: list[Any] = []
    for event, element in etree.iterwalk(body, events=("start", "end")):
        level = _HEADINGS.index(element.tag) if element.tag in _HEADINGS else None
        if event == "end":
            text = element.tail if level is not None or element is not body else None
        elif level is not None:
            lone += [heading for other, heading in pending if other >= level]
            pending = [(other, heading) for other, heading in pending if other < level]
            pending.append((level, element))
            text = None
        else:
            text = None if any(one.tag in _HEADINGS for one in element.iterancestors()) else element.text
        if text and text.strip():
            pending = []
    for heading in [*lone, *(heading for _, heading in pending)]:
        _drop(heading)


def _drop(element: Any) -> None:
    """Take an element out; the text behind it stays."""
    if element.getparent() is not None:
        element.drop_tree()


def _bare(text: str) -> str:
    return _SPACE.sub("", text)


def _length(element: Any) -> int:
    return len(_bare(element.text_content()))


def _document(content: Any, title: str, language: str) -> str:
    page = html.Element("html", lang=language) if language else html.Element("html")
    head = etree.SubElement(page, "head")
    etree.SubElement(head, "meta", charset="utf-8")
    etree.SubElement(head, "title").text = title
    if content.tag == "body":
        page.append(content)
    else:
        etree.SubElement(page, "body").append(content)
    return str(html.tostring(page, encoding="unicode", doctype="<!DOCTYPE html>"))
