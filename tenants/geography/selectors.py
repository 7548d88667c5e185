from __future__ import annotations

import uuid

from django.db.models import Model, Prefetch, QuerySet

from knowrithm.errors import NotFoundError
from tenants.geography.models import Address, City, Country, State

# For lists of companies: `Company.objects.prefetch_related(PRIMARY_ADDRESS)`.
PRIMARY_ADDRESS = Prefetch(
    "addresses", Address.objects.with_places().filter(is_primary=True), to_attr="primary_addresses"
)


def countries(company_id: uuid.UUID | None) -> QuerySet[Country]:
    return Country.objects.visible_to(company_id)


def get_country(country_id: int, company_id: uuid.UUID | None) -> Country:
    found: Country | None = Country.objects.visible_to(company_id).filter(pk=country_id).first()
    if found is None:
        raise NotFoundError("There is no such country.")
    return found


def get_state(state_id: int, company_id: uuid.UUID | None) -> State:
    found: State | None = State.objects.visible_to(company_id).select_related("country").filter(pk=state_id).first()
    if found is None:
        raise NotFoundError("There is no such state.")
    return found


def get_city(city_id: int, company_id: uuid.UUID | None) -> City:
    found: City | None = City.objects.visible_to(company_id).select_related("state__country").filter(pk=city_id).first()
    if found is None:
        raise NotFoundError("There is no such city.")
    return found


def states_of(country: Country, company_id: uuid.UUID | None) -> QuerySet[State]:
    return State.objects.visible_to(company_id).filter(country=country).select_related("country")


def cities_of(state: State, company_id: uuid.UUID | None) -> QuerySet[City]:
    return City.objects.visible_to(company_id).filter(state=state).select_related("state__country")


def addresses_of(company_id: uuid.UUID) -> QuerySet[Address]:
    return Address.objects.with_places().filter(company=company_id)


def primary_address(company: Model) -> Address | None:
    """Of a company that was loaded with `PRIMARY_ADDRESS`, without a query."""
    loaded: list[Address] | None = getattr(company, "primary_addresses", None)
    if loaded is None:
        loaded = list(Address.objects.with_places().filter(company=company.pk, is_primary=True))
    return loaded[0] if loaded else None
