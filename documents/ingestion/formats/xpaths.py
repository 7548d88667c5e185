"""Absolute indexed XPaths of many elements of one tree."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lxml import etree


class XPaths:
    """lxml's own `getpath` counts an element's siblings anew each time; here a parent's are counted once."""

    def __init__(self) -> None:
        self._steps: dict[Any, str] = {}

    def of(self, element: Any) -> str:
        steps = []
        current = element
        while current is not None:
            parent = current.getparent()
            if current not in self._steps:
                self._number([current] if parent is None else parent)
            steps.append(self._steps[current])
            current = parent
        return "/" + "/".join(reversed(steps))

    def _number(self, siblings: Any) -> None:
        elements = [child for child in siblings if isinstance(child.tag, str)]
        names = [_step(child) for child in elements]
        totals = Counter(names)
        seen: Counter[str] = Counter()
        for child, name in zip(elements, names, strict=True):
            seen[name] += 1
            self._steps[child] = name if totals[name] == 1 else f"{name}[{seen[name]}]"


def _step(element: Any) -> str:
    """A step that needs no table of namespace prefixes to be evaluated."""
    name = etree.QName(element)
    if name.namespace or ":" in name.localname:
        return f"*[namespace-uri()='{name.namespace or ''}' and local-name()='{name.localname}']"
    return name.localname
