"""Sitemaps and indexes of sitemaps, plain or packed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from lxml import etree

from documents.ingestion.base import DamagedDocumentError
from documents.ingestion.web.addresses import canonical

MAX_BYTES = 50 * 2**20  # unpacked, as the protocol allows
MAX_ADDRESSES = 50_000


@dataclass(frozen=True, slots=True)
class Sitemap:
    pages: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()  # of an index


def read_sitemap(body: bytes, url: str) -> Sitemap:
    """Raises `DamagedDocumentError`. A text file with one address a line is a sitemap too."""
    if body.startswith(b"\x1f\x8b"):
        body = _unpacked(body)
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = body.decode("utf-8", "replace").splitlines()
        return Sitemap(pages=tuple(_addresses([line for line in lines if "://" in line], url)))
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True)
    try:
        root: Any = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise DamagedDocumentError("The sitemap cannot be read.") from error
    if root is None:
        raise DamagedDocumentError("The sitemap cannot be read.")
    found = [str(text) for text in root.xpath("/*/*/*[local-name()='loc']/text()")]
    addresses = tuple(_addresses(found, url))
    is_index = etree.QName(root).localname == "sitemapindex"
    return Sitemap(sitemaps=addresses) if is_index else Sitemap(pages=addresses)


def _unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unpacker.decompress(body, MAX_BYTES)
    except zlib.error as error:
        raise DamagedDocumentError("The packed sitemap is damaged.") from error
    if unpacker.unconsumed_tail:
        raise DamagedDocumentError("The sitemap unpacks to more than one may hold.")
    return text


def _addresses(texts: list[str], url: str) -> list[str]:
    found = (canonical(text, url) for text in texts[:MAX_ADDRESSES])
    return list(dict.fromkeys(address for address in found if address is not None))
