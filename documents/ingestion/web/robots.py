"""robots.txt, as RFC 9309 has it: the longest rule decides, `*` and `$` mean what they say."""

from __future__ import annotations

from dataclasses import dataclass, field

from documents.ingestion.web.addresses import escaped, matches

MAX_BYTES = 500 * 1024  # what RFC 9309 asks a crawler to read at least
MAX_RULES = 2000
MAX_DELAY = 30.0  # seconds; a site that asks for more is asked this seldom


@dataclass(frozen=True, slots=True)
class Robots:
    """What a site lets one crawler do. `delay` is in seconds, None where the site does not say."""

    rules: tuple[tuple[bool, str], ...] = ()
    delay: float | None = None
    sitemaps: tuple[str, ...] = ()

    def allows(self, path: str) -> bool:
        """`path` with its query."""
        if path == "/robots.txt":
            return True
        found = [(len(pattern), is_allowed) for is_allowed, pattern in self.rules if matches(pattern, path)]
        return max(found)[1] if found else True


ALLOWS_ALL = Robots()
ALLOWS_NOTHING = Robots(rules=((False, "/"),))


@dataclass(slots=True)
class _Group:
    agents: list[str] = field(default_factory=list)
    rules: list[tuple[bool, str]] = field(default_factory=list)
    delay: float | None = None
    is_open: bool = True  # further user agents may still join


def parse_robots(text: str, agent: str) -> Robots:
    """The rules for `agent` (a product's name without version); those of `*` where none name it."""
    groups: list[_Group] = []
    sitemaps: list[str] = []
    for line in text.removeprefix("\ufeff").splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            continue
        if name == "sitemap":
            sitemaps.append(value)
        elif name == "user-agent":
            if not groups or not groups[-1].is_open:
                groups.append(_Group())
            groups[-1].agents.append(value.lower())
        elif groups:
            groups[-1].is_open = False
            if name in {"allow", "disallow"} and value:
                groups[-1].rules.append((name == "allow", escaped(value)))
            elif name == "crawl-delay":
                groups[-1].delay = _seconds(value)
    mine = [group for group in groups if agent.lower() in group.agents]
    mine = mine or [group for group in groups if "*" in group.agents]
    delays = [group.delay for group in mine if group.delay is not None]
    return Robots(
        rules=tuple(rule for group in mine for rule in group.rules)[:MAX_RULES],
        delay=max(delays, default=None),
        sitemaps=tuple(dict.fromkeys(sitemaps))[:50],
    )


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return min(seconds, MAX_DELAY) if seconds >= 0 else None  # NaN compares as False
