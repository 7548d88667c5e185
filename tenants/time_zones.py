"""The time zones of a form's list, a region at a time."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from zoneinfo import available_timezones

REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
OTHERS = "Others"  # older names and fixed offsets


def zone_choices() -> list[Any]:
    """UTC, then groups of cities: a list of choices that a select shows by its regions."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(available_timezones() - {"UTC"}):
        region, _, place = name.partition("/")
        is_place = region in REGIONS and bool(place)
        groups[region if is_place else OTHERS].append((name, (place if is_place else name).replace("_", " ")))
    return [("UTC", "UTC"), *((region, groups[region]) for region in (*REGIONS, OTHERS))]
