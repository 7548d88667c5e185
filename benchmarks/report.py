"""A benchmark's figures, and the page they are written to."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `met` is None where there is nothing to reach."""

    what: str
    figure: str
    goal: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        return "" if self.met is None else "met" if self.met else "not met"


def at_most(what: str, value: float, limit: float, unit: str) -> Row:
    return Row(what, f"{value:.4g} {unit}".strip(), f"≤ {limit:g} {unit}".strip(), value <= limit)


def at_least(what: str, value: float, limit: float, unit: str = "") -> Row:
    return Row(what, f"{value:.4g} {unit}".strip(), f"≥ {limit:g} {unit}".strip(), value >= limit)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def milliseconds(values: Sequence[float]) -> str:
    """Median and 95th percentile of seconds."""
    return f"{statistics.median(values) * 1000:.1f} ms (p95 {percentile(values, 0.95) * 1000:.1f})"


def cpu_each(before: Mapping[str, float], after: Mapping[str, float], count: int) -> str:
    """Milliseconds of processor for each of `count`, and where they went."""
    parts = {name: (after[name] - before[name]) * 1000 / max(count, 1) for name in after}
    return f"{sum(parts.values()):.0f} ms: " + ", ".join(f"{name} {spent:.0f}" for name, spent in parts.items())


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB of memory, load {os.getloadavg()[0]:.1f} at the end"


def page(results: dict[str, Sequence[Row]]) -> str:
    lines = ["# Benchmarks", "", f"`make bench`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}.", ""]
    for name, rows in results.items():
        lines += [f"## {name}", "", "| what | figure | goal | verdict |", "|---|---|---|---|"]
        lines += [f"| {row.what} | {row.figure} | {row.goal} | {row.verdict} |" for row in rows]
        lines.append("")
    return "\n".join(lines)
