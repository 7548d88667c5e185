"""The places that an installation comes with: ISO 3166-1 countries and 3166-2 subdivisions. No cities."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pycountry

from tenants.geography.models import Country, State


@dataclass(frozen=True, slots=True)
class Seeded:
    countries: int
    states: int


def seed_geography() -> Seeded:
    """Add what is missing, in two queries when nothing is; what a super admin has renamed keeps its name."""
    known = set(Country.objects.shared().exclude(iso_code="").values_list("iso_code", flat=True))
    missing = [
        Country(iso_code=country.alpha_2, name=getattr(country, "common_name", country.name))
        for country in pycountry.countries
        if country.alpha_2 not in known
    ]
    # A super admin may have added one of these names by hand, and another process may be seeding: theirs stay.
    Country.objects.bulk_create(missing, ignore_conflicts=True)
    return Seeded(len(missing), _seed_states())


def _seed_states() -> int:
    known = set(State.objects.shared().exclude(code="").values_list("code", flat=True))
    missing = [subdivision for subdivision in pycountry.subdivisions if subdivision.code not in known]
    if not missing:
        return 0
    country_ids = dict(Country.objects.shared().values_list("iso_code", "id"))
    # Some names stand twice in a country, once for a city and once for the district around it.
    names = Counter((subdivision.country_code, subdivision.name.lower()) for subdivision in pycountry.subdivisions)
    rows = [
        State(
            code=subdivision.code,
            country_id=country_ids[subdivision.country_code],
            name=subdivision.name
            if names[subdivision.country_code, subdivision.name.lower()] == 1
            else f"{subdivision.name} ({subdivision.type})",
        )
        for subdivision in missing
        if subdivision.country_code in country_ids
    ]
    State.objects.bulk_create(rows, batch_size=2000, ignore_conflicts=True)
    return len(rows)
