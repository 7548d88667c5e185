"""The published Python client and the places of the world, and a company's own: the contract's scenarios 3 and 22."""

from __future__ import annotations

import uuid
from typing import Any

from knowrithm.tests.flows.test_sdk import refused
from knowrithm.tests.platform import FLOW, Owner, Platform

pytestmark = FLOW


def test_the_world_is_there_and_seeding_again_adds_nothing(platform: Platform, owner: Owner) -> None:
    """Without a credential, from the list of countries down to a city."""
    public = platform.client().addresses
    # What stands there came with the first start; a company adds a city, for none is seeded.
    assert public.seed_reference_data() == {
        "message": "All countries and states are there.",
        "countries": 0,
        "states": 0,
    }
    countries = public.list_countries()
    assert len(countries) > 200
    assert {(type(row["id"]), type(row["name"])) for row in countries} == {(int, str)}
    [germany] = [row for row in countries if row["iso_code"] == "DE"]

    detail = public.get_country(germany["id"])
    assert (detail["name"], detail["states"]) == ("Germany", detail["state"])
    states = public.list_states_by_country(germany["id"])
    assert [{"id": row["id"], "name": row["name"]} for row in states] == detail["states"]
    [bavaria] = [row for row in states if row["state_code"] == "DE-BY"]
    assert {row["country_id"] for row in states} == {germany["id"]}

    own = owner.client.addresses
    name = f"Pumpstadt {uuid.uuid4().hex[:6]}"
    city = own.create_city(name, bavaria["id"], postal_code_prefix="94")["city"]
    nested = [{"id": city["id"], "name": name, "postal_code_prefix": "94"}]
    state = own.get_state(bavaria["id"])
    assert (state["name"], state["cities"], state["city"]) == (bavaria["name"], nested, nested)
    assert [row["id"] for row in own.list_cities_by_state(bavaria["id"])] == [city["id"]]
    shown = own.get_city(city["id"])
    assert (shown["name"], shown["state"]["id"], shown["country"]["id"]) == (name, bavaria["id"], germany["id"])
    # A company's city is its own: the public list is as empty as it was.
    assert public.list_cities_by_state(bavaria["id"]) in ([], {"success": True})
    assert refused(public.get_city, city["id"]).status_code == 404


def test_a_company_s_own_places_and_its_address(platform: Platform) -> None:
    owner = platform.found_company()
    places = owner.client.addresses
    country = places.create_country("Pumpland", iso_code="QZ")["country"]
    state = places.create_state("North Pump", country["id"])["state"]
    city = places.create_city("Valve City", state["id"], postal_code_prefix="12")["city"]

    def conflict(call: Any, *arguments: Any, **options: Any) -> int:
        error = refused(call, *arguments, **options)
        assert error.message != ""
        return int(error.status_code)

    assert [
        conflict(places.create_country, "pumpland"),
        conflict(places.create_country, "Another name", iso_code="QZ"),
        conflict(places.create_state, "NORTH PUMP", country["id"]),
        conflict(places.create_city, "valve city", state["id"]),
    ] == [409] * 4
    assert refused(places.create_state, "Nowhere", 999_999_999).status_code == 404

    assert places.update_country(country["id"], name="Pumpia")["country"]["name"] == "Pumpia"
    assert places.update_state(state["id"], name="South Pump")["state"]["name"] == "South Pump"
    moved = places.update_city(city["id"], name="Valve Town", postal_code_prefix="34")["city"]
    assert (moved["name"], moved["postal_code_prefix"]) == ("Valve Town", "34")
    assert places.get_country(country["id"])["states"] == [{"id": state["id"], "name": "South Pump"}]

    at = {"lat": 48.5, "lan": 13.4, "postal_code": "34001", "is_primary": True}
    made = places.create_address("Pump Lane 7", city["id"], state["id"], country["id"], **at)["address"]
    other = places.create_address("Back Street 1", city["id"], state["id"], country["id"])["address"]
    listed = places.get_company_address()["address"]
    assert [row["id"] for row in listed] == [made["id"], other["id"]]
    assert {name: listed[0][name] for name in at} == at
    assert (listed[0]["street_address"], listed[0]["city"]["name"]) == ("Pump Lane 7", "Valve Town")
    assert owner.client.companies.get_company()["address"]["street"] == "Pump Lane 7"
    assert platform.found_company().client.addresses.get_company_address()["address"] == []
