"""Places that companies add, and their addresses.

A place belongs to the actor's company; a super admin's belongs to none and is everybody's. Only the owner changes it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.forms.models import model_to_dict

from knowrithm.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import Changes, changed_fields, log_of, record_event
from tenants.geography.models import Address, City, Country, Place, State
from tenants.geography.seed import Seeded, seed_geography
from tenants.geography.selectors import get_city, get_country, get_state
from tenants.models import Company

PlaceRow = TypeVar("PlaceRow", bound=Place)


def _company_id(actor: Principal) -> uuid.UUID | None:
    return actor.company.id if actor.company else None


@transaction.atomic
def complete_geography(*, actor: Principal | None) -> Seeded:
    """Add what is missing of ISO 3166. Repeating it changes nothing. `actor` is None for whoever has not signed in."""
    added = seed_geography()
    if added.countries or added.states:
        with log_of(None):  # all companies share these places
            record_event(
                actor=actor,
                event_type="geography.completed",
                entity_type="geography",
                changes={"countries": (0, added.countries), "states": (0, added.states)},
            )
    return added


# --- Places -------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_country(*, actor: Principal, name: str, iso_code: str = "") -> Country:
    return _create(actor, Country(name=name, iso_code=iso_code))


@transaction.atomic
def create_state(*, actor: Principal, name: str, country_id: int) -> State:
    return _create(actor, State(name=name, country=get_country(country_id, _company_id(actor))))


@transaction.atomic
def create_city(*, actor: Principal, name: str, state_id: int, postal_code_prefix: str = "") -> City:
    state = get_state(state_id, _company_id(actor))
    return _create(actor, City(name=name, state=state, postal_code_prefix=postal_code_prefix))


@transaction.atomic
def update_country(*, actor: Principal, country_id: int, changes: Mapping[str, Any]) -> Country:
    return _update(actor, get_country(country_id, _company_id(actor)), changes)


@transaction.atomic
def update_state(*, actor: Principal, state_id: int, changes: Mapping[str, Any]) -> State:
    if "country_id" in changes:
        get_country(changes["country_id"], _company_id(actor))
    return _update(actor, get_state(state_id, _company_id(actor)), changes)


@transaction.atomic
def update_city(*, actor: Principal, city_id: int, changes: Mapping[str, Any]) -> City:
    if "state_id" in changes:
        get_state(changes["state_id"], _company_id(actor))
    return _update(actor, get_city(city_id, _company_id(actor)), changes)


def _create(actor: Principal, place: PlaceRow) -> PlaceRow:
    _add(actor, place)
    after = {name: value for name, value in _values(place).items() if value}
    record_event(
        actor=actor,
        event_type=f"{place._meta.model_name}.created",
        entity=place,
        changes=changed_fields({}, after),
    )
    return place


def _add(actor: Principal, place: PlaceRow) -> PlaceRow:
    """Not recorded yet."""
    place.company_id = _company_id(actor)
    _save(place)
    return place


def _update(actor: Principal, place: PlaceRow, changes: Mapping[str, Any]) -> PlaceRow:
    """Raises `ForbiddenError` for a company that would change what everybody sees."""
    if place.company_id != _company_id(actor):
        raise ForbiddenError(
            f"This {place._meta.verbose_name} came with the installation: only a super admin may change it. "
            f"Add one of your own instead."
        )
    before = _values(place)
    for name, value in changes.items():
        setattr(place, name, value)
    if changed := changed_fields(before, _values(place)):
        _save(place)
        record_event(actor=actor, event_type=f"{place._meta.model_name}.updated", entity=place, changes=changed)
    return place


def _values(place: Place) -> dict[str, Any]:
    return model_to_dict(place, exclude=["id", "company"])


def _save(place: Place) -> None:
    """Raises `ConflictError` when a place that the owner can see has the name or the code already."""
    others = type(place).objects.visible_to(place.company_id).exclude(pk=place.pk)
    same: dict[str, Any] = {"name__iexact": place.name}
    if isinstance(place, State):
        same["country"] = place.country_id
    if isinstance(place, City):
        same["state"] = place.state_id
    if others.filter(**same).exists():
        raise _taken(place, "name")
    if isinstance(place, Country) and place.iso_code and others.filter(iso_code=place.iso_code).exists():
        raise _taken(place, "iso_code")
    try:
        with transaction.atomic():
            place.save()
    except IntegrityError:  # somebody else of the company was faster
        raise _taken(place, "name") from None


def _taken(place: Place, field: str) -> ConflictError:
    label = place._meta.get_field(field).verbose_name  # type: ignore[union-attr]  # no relation has these names
    sentence = f"There is a {place._meta.verbose_name} with this {label} already."
    return ConflictError(sentence, fields={field: [sentence]})


# --- Addresses ----------------------------------------------------------------------------------------------------


@transaction.atomic
def create_address(
    *,
    actor: Principal,
    street_address: str,
    city_id: int,
    state_id: int,
    country_id: int,
    postal_code: str = "",
    lat: float | None = None,
    lan: float | None = None,
    is_primary: bool = False,
) -> Address:
    """An address of the actor's company; a primary one takes the place of the one before.

    Raises `InvalidInputError` when the state is not in the country or the city not in the state.
    """
    country = get_country(country_id, actor.company_id)
    state = get_state(state_id, actor.company_id)
    city = get_city(city_id, actor.company_id)
    if state.country_id != country.pk:
        raise InvalidInputError(
            f"{state.name} is not in {country.name}.", fields={"state_id": [f"This state is not in {country.name}."]}
        )
    if city.state_id != state.pk:
        raise InvalidInputError(
            f"{city.name} is not in {state.name}.", fields={"city_id": [f"This city is not in {state.name}."]}
        )
    return _add_address(
        actor, Address(street_address=street_address, city=city, postal_code=postal_code, lat=lat, lan=lan), is_primary
    )


@transaction.atomic
def add_address(
    *,
    actor: Principal,
    street_address: str,
    country_id: int,
    state_id: int | None,
    state_name: str,
    city_name: str,
    postal_code: str = "",
    is_primary: bool = False,
) -> Address:
    """The same with names: a state or city that is not known yet is added for the company, in the same event."""
    added: dict[str, tuple[None, str]] = {}
    state = get_state(state_id, actor.company_id) if state_id else _known_state(state_name, country_id, actor)
    if state is None:
        state = _add(actor, State(name=state_name, country=get_country(country_id, actor.company_id)))
        added["new_state"] = (None, state.name)
    if state.country_id != country_id:
        raise InvalidInputError("Choose a state of the country.", fields={"state": ["Choose a state of the country."]})
    cities = City.objects.visible_to(actor.company_id).filter(state=state, name__iexact=city_name)
    city = cities.first()
    if city is None:
        city = _add(actor, City(name=city_name, state=state))
        added["new_city"] = (None, city.name)
    address = Address(street_address=street_address, city=city, postal_code=postal_code)
    return _add_address(actor, address, is_primary, added)


def _known_state(name: str, country_id: int, actor: Principal) -> State | None:
    found: State | None = (
        State.objects.visible_to(actor.company_id).filter(country=country_id, name__iexact=name).first()
    )
    return found


def _add_address(actor: Principal, address: Address, is_primary: bool, added: Changes | None = None) -> Address:
    address.company_id, address.is_primary = actor.company_id, is_primary
    if is_primary:
        _demote_primary(actor.company_id)
    address.save()
    after = model_to_dict(address, exclude=["id", "company"])
    record_event(
        actor=actor,
        event_type="address.created",
        entity=address,
        changes={**changed_fields({}, {name: value for name, value in after.items() if value}), **(added or {})},
    )
    return address


@transaction.atomic
def make_address_primary(*, actor: Principal, address_id: int) -> None:
    address = promote_address(company_id=actor.company_id, address_id=address_id)
    if address is not None:
        record_event(actor=actor, event_type="address.updated", entity=address, changes={"is_primary": (False, True)})


def promote_address(*, company_id: uuid.UUID | None, address_id: int) -> Address | None:
    """The new primary address; None when it is that already. A part of other services: told of in their audit row."""
    address = _own_address(company_id, address_id)
    if address.is_primary:
        return None
    _demote_primary(company_id)
    address.is_primary = True
    address.save(update_fields=["is_primary", "updated_at"])
    return address


def _demote_primary(company_id: uuid.UUID | None) -> None:
    Company.objects.select_for_update().get(pk=company_id)  # two at once would both find none
    Address.objects.filter(company=company_id, is_primary=True).update(is_primary=False)


@transaction.atomic
def delete_address(*, actor: Principal, address_id: int) -> None:
    address = _own_address(actor.company_id, address_id)
    record_of = {"street_address": (address.street_address, None), "city": (str(address.city), None)}
    address_pk, label = address.pk, str(address)
    address.delete()
    record_event(
        actor=actor, event_type="address.deleted", entity_type="address", entity_id=address_pk, entity_label=label,
        changes=record_of, risk_level=RiskLevel.MEDIUM,
    )  # fmt: skip


def _own_address(company_id: uuid.UUID | None, address_id: int) -> Address:
    found: Address | None = Address.objects.with_places().filter(company=company_id, pk=address_id).first()
    if found is None:
        raise NotFoundError("There is no such address.")
    return found
