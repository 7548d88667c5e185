from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, key_client
from tenants.audit.models import AuditEvent
from tenants.geography.models import Address, City, Country, State
from tenants.models import User
from tenants.services import create_user, ensure_super_admin, start_session

pytestmark = pytest.mark.django_db


def api(method: str, client: APIClient, path: str, body: Any = None, *, status: int) -> Any:
    answer = getattr(client, method)(f"/api/v1/{path}", body) if body is not None else client.get(f"/api/v1/{path}")
    assert answer.status_code == status, answer.content
    return answer.json()


def super_admin() -> APIClient:
    user = ensure_super_admin(email="root@example.com", password=PASSWORD)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=user).tokens.access}")
    return client


def germany() -> Country:
    found: Country = Country.objects.get(iso_code="DE")
    return found


def bavaria() -> State:
    found: State = State.objects.get(code="DE-BY")
    return found


def city_of(who: Character, name: str = "Munich") -> City:
    made: City = City.objects.create(company=who.company, state=bavaria(), name=name)
    return made


def address_of(who: Character, **fields: Any) -> Address:
    city = City.objects.filter(company=who.company, name="Munich").first() or city_of(who)
    made: Address = Address.objects.create(company=who.company, city=city, **{"street_address": "Way 1", **fields})
    return made


def test_the_lists_are_arrays_that_anybody_reads(anonymous: APIClient) -> None:
    countries = api("get", anonymous, "country", status=200)
    assert isinstance(countries, list)
    assert len(countries) == 249
    found = next(country for country in countries if country["iso_code"] == "DE")
    assert sorted(found) == ["created_at", "id", "iso2", "iso_code", "name", "updated_at"]
    assert (found["name"], found["iso2"]) == ("Germany", "DE")

    detail = api("get", anonymous, f"country/{found['id']}", status=200)
    assert detail["state"] == detail["states"]
    assert len(detail["state"]) == 16
    assert sorted(detail["state"][0]) == ["id", "name"]

    states = api("get", anonymous, f"state/country/{found['id']}", status=200)
    assert [state["id"] for state in states] == [state["id"] for state in detail["state"]]
    assert states[1]["country"] == {"id": found["id"], "name": "Germany"}
    assert states[1]["state_code"] == "DE-BY"

    state = api("get", anonymous, f"state/{states[1]['id']}", status=200)
    assert (state["city"], state["cities"], state["country"]["name"]) == ([], [], "Germany")
    assert api("get", anonymous, f"city/state/{states[1]['id']}", status=200) == []


def test_seeding_is_public_and_says_what_it_did(anonymous: APIClient) -> None:
    State.objects.filter(code="DE-BY").delete()
    known = set(AuditEvent.objects.values_list("pk", flat=True))
    assert api("get", anonymous, "address-seed", status=200) == {"message": "Seeded.", "countries": 0, "states": 1}
    again = {"message": "All countries and states are there.", "countries": 0, "states": 0}
    assert api("get", anonymous, "address-seed", status=200) == again
    [row] = AuditEvent.objects.exclude(pk__in=known)  # the platform's log: the places are everybody's
    assert (row.event_type, row.actor_kind, row.changes["states"]) == ("geography.completed", "anonymous", [0, 1])


def test_seeding_by_a_company_is_in_the_platform_s_log(acme: Character, acme_api: APIClient) -> None:
    State.objects.filter(code="DE-BY").delete()
    assert api("get", acme_api, "address-seed", status=200)["states"] == 1
    row = AuditEvent.objects.get(event_type="geography.completed")
    assert row.actor_label == acme.admin.email


@pytest.mark.parametrize("path", ["country/{}", "state/country/{}", "state/{}", "city/state/{}", "city/{}"])
@pytest.mark.parametrize("pk", [0, 987654321, 2**63, 10**40])
def test_unknown_ids_are_not_found(anonymous: APIClient, path: str, pk: int) -> None:
    api("get", anonymous, path.format(pk), status=404)


def test_a_company_adds_places_and_changes_them(acme: Character, acme_api: APIClient) -> None:
    country = api("post", acme_api, "country", {"name": "Atlantis", "iso_code": "atl"}, status=201)
    assert (country["country"]["iso_code"], country["id"]) == ("ATL", country["country"]["id"])
    state = api("post", acme_api, "state", {"name": "Deep", "country_id": country["id"]}, status=201)
    assert state["state"]["country"] == {"id": country["id"], "name": "Atlantis"}
    city = api(
        "post", acme_api, "city", {"name": "Reef", "state_id": state["id"], "postal_code_prefix": "9"}, status=201
    )
    assert city["city"]["country"] == {"id": country["id"], "name": "Atlantis"}

    api("patch", acme_api, f"country/{country['id']}", {"name": "New Atlantis"}, status=200)
    moved = api("patch", acme_api, f"state/{state['id']}", {"country_id": germany().pk}, status=200)
    assert moved["state"]["country"]["name"] == "Germany"
    renamed = api("patch", acme_api, f"city/{city['id']}", {"name": "Cliff", "postal_code_prefix": ""}, status=200)
    assert (renamed["city"]["name"], renamed["city"]["postal_code_prefix"]) == ("Cliff", "")
    assert api("get", acme_api, f"country/{country['id']}", status=200)["name"] == "New Atlantis"
    assert [row["name"] for row in api("get", acme_api, f"city/state/{state['id']}", status=200)] == ["Cliff"]

    with tenant_context(acme.company):
        events = list(AuditEvent.objects.order_by("position").values_list("event_type", "changes"))
    assert [name for name, _ in events] == [
        "country.created", "state.created", "city.created", "country.updated", "state.updated", "city.updated",
    ]  # fmt: skip
    assert events[3][1] == {"name": ["Atlantis", "New Atlantis"]}


def test_a_change_that_changes_nothing_is_no_event(acme: Character, acme_api: APIClient) -> None:
    made = api("post", acme_api, "country", {"name": "Atlantis"}, status=201)
    api("patch", acme_api, f"country/{made['id']}", {}, status=200)
    with tenant_context(acme.company):
        assert AuditEvent.objects.count() == 1


def test_the_same_name_again_is_a_conflict_whatever_its_case(acme: Character, acme_api: APIClient) -> None:
    api("post", acme_api, "country", {"name": "gERMANY"}, status=409)
    api("post", acme_api, "country", {"name": "Elsewhere", "iso_code": "de"}, status=409)
    api("post", acme_api, "state", {"name": "BERLIN", "country_id": germany().pk}, status=409)
    city = {"name": "Munich", "state_id": bavaria().pk}
    other = api("post", acme_api, "city", city, status=201)
    conflict = api("post", acme_api, "city", {**city, "name": "MUNICH"}, status=409)
    assert conflict["errors"] == {"name": ["There is a city with this name already."]}
    api("post", acme_api, "city", {**city, "name": "Augsburg"}, status=201)
    api("patch", acme_api, f"city/{other['id']}", {"name": "augsburg"}, status=409)
    api("patch", acme_api, f"city/{other['id']}", {"name": "MUNICH"}, status=200)


def test_another_company_s_names_are_no_conflict(acme_api: APIClient, globex_api: APIClient) -> None:
    for client in (acme_api, globex_api):
        api("post", client, "country", {"name": "Atlantis", "iso_code": "ATL"}, status=201)


def test_the_database_itself_refuses_a_second_of_the_same_name(acme: Character) -> None:
    for company in (None, acme.company):
        City.objects.create(company=company, state=bavaria(), name="Munich")
        with pytest.raises(IntegrityError), transaction.atomic():
            City.objects.create(company=company, state=bavaria(), name="munich")


def test_what_everybody_sees_only_a_super_admin_changes(acme_api: APIClient, anonymous: APIClient) -> None:
    for path in (f"country/{germany().pk}", f"state/{bavaria().pk}"):
        api("patch", acme_api, path, {"name": "Mine"}, status=403)
    root = super_admin()
    api("patch", root, f"country/{germany().pk}", {"name": "Deutschland"}, status=200)
    assert api("get", anonymous, f"country/{germany().pk}", status=200)["name"] == "Deutschland"
    made = api("post", root, "city", {"name": "Munich", "state_id": bavaria().pk}, status=201)
    assert [row["id"] for row in api("get", anonymous, f"city/state/{bavaria().pk}", status=200)] == [made["id"]]
    assert list(AuditEvent.objects.order_by("position").values_list("event_type", flat=True)) == [
        "super_admin.created", "country.updated", "city.created",
    ]  # fmt: skip


def test_a_super_admin_does_not_reach_into_a_company(acme: Character) -> None:
    api("patch", super_admin(), f"city/{city_of(acme).pk}", {"name": "Mine"}, status=404)


def test_a_place_cannot_be_moved_below_a_foreign_one(acme: Character, globex_api: APIClient) -> None:
    country = Country.objects.create(company=acme.company, name="Atlantis")
    state = State.objects.create(company=acme.company, name="Deep", country=country)
    mine = api("post", globex_api, "state", {"name": "Own", "country_id": germany().pk}, status=201)
    city = api("post", globex_api, "city", {"name": "Own", "state_id": mine["id"]}, status=201)
    api("patch", globex_api, f"state/{mine['id']}", {"country_id": country.pk}, status=404)
    api("patch", globex_api, f"city/{city['id']}", {"state_id": state.pk}, status=404)


def test_who_may_add(acme: Character, anonymous: APIClient) -> None:
    user = create_user(
        actor=acme.principal, email="u@acme.example", username="user", password=PASSWORD, first_name="U", last_name="S"
    )
    person = bearer(Character(acme.company, User.objects.select_related("company").get(pk=user.pk), acme.agent))
    body = {"name": "Atlantis"}
    api("post", anonymous, "country", body, status=401)
    api("post", person, "country", body, status=403)
    api("post", key_client(acme, "read", "write"), "country", body, status=403)
    api("post", key_client(acme, "admin"), "country", body, status=201)


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_API_KEY": "ak_wrong", "HTTP_X_API_SECRET": "wrong"},
        {"HTTP_X_API_KEY": "", "HTTP_X_API_SECRET": ""},
        {"HTTP_AUTHORIZATION": "Bearer nonsense"},
    ],
)
def test_a_bad_credential_reads_what_everybody_reads(acme: Character, headers: dict[str, str]) -> None:
    client = APIClient()
    client.credentials(**headers)
    Country.objects.create(company=acme.company, name="Atlantis")
    assert len(api("get", client, "country", status=200)) == 249


BAD_PLACES: list[tuple[str, dict[str, Any], str]] = [
    ("country", {}, "name"),
    ("country", {"name": ""}, "name"),
    ("country", {"name": "x" * 101}, "name"),
    ("country", {"name": ["x"]}, "name"),
    ("country", {"name": "x", "iso_code": "1"}, "iso_code"),
    ("state", {"name": "x"}, "country_id"),
    ("state", {"name": "x", "country_id": "one"}, "country_id"),
    ("state", {"name": "x", "country_id": True}, "country_id"),
    ("city", {"name": "x", "state_id": -1}, "state_id"),
    ("city", {"name": "x", "state_id": 1, "postal_code_prefix": "x" * 11}, "postal_code_prefix"),
]


@pytest.mark.parametrize(("path", "body", "field"), BAD_PLACES)
def test_bad_input_names_its_field(acme_api: APIClient, path: str, body: dict[str, Any], field: str) -> None:
    assert list(api("post", acme_api, path, body, status=400)["errors"]) == [field]


def test_enormous_ids_are_not_found(acme_api: APIClient) -> None:
    api("post", acme_api, "state", {"name": "x", "country_id": 10**30}, status=404)
    api("post", acme_api, "city", {"name": "x", "state_id": 10**30}, status=404)


# --- Addresses ----------------------------------------------------------------------------------------------------


def whole(city: City, **extra: Any) -> dict[str, Any]:
    ids = {"city_id": city.pk, "state_id": city.state_id, "country_id": city.state.country_id}
    return {"street_address": "Marienplatz 8", **ids, **extra}


def test_an_address_is_added_and_listed(acme: Character, acme_api: APIClient) -> None:
    sent = whole(city_of(acme), postal_code="80331", lat=48.137222222, lan=11.575556, is_primary=True)
    made = api("post", acme_api, "address", sent, status=201)
    assert made["address"]["id"] == made["id"]
    assert {name: made["address"][name] for name in sent} == sent
    assert made["address"]["state"] == {"id": bavaria().pk, "name": bavaria().name}

    listed = api("get", acme_api, "address", status=200)
    assert listed["address"] == listed["addresses"] == [made["address"]]
    company = api("get", acme_api, "company", status=200)
    assert company["address"] == {
        "street": "Marienplatz 8",
        "city": "Munich",
        "state": bavaria().name,
        "country": "Germany",
        "postal_code": "80331",
    }
    with tenant_context(acme.company):
        event = AuditEvent.objects.get(event_type="address.created")
    assert event.changes["street_address"] == [None, "Marienplatz 8"]


def test_a_company_has_at_most_one_primary_address(acme: Character, acme_api: APIClient) -> None:
    first = api("post", acme_api, "address", whole(city_of(acme), is_primary=True), status=201)
    second = api("post", acme_api, "address", whole(City.objects.get(), is_primary=True), status=201)
    rows = api("get", acme_api, "address", status=200)["address"]
    assert [(row["id"], row["is_primary"]) for row in rows] == [(second["id"], True), (first["id"], False)]
    with pytest.raises(IntegrityError), transaction.atomic():
        Address.objects.filter(pk=first["id"]).update(is_primary=True)


def test_city_state_and_country_must_agree(acme: Character, acme_api: APIClient) -> None:
    city = city_of(acme)
    france, berlin = Country.objects.get(iso_code="FR"), State.objects.get(code="DE-BE")
    wrong_country = api("post", acme_api, "address", whole(city, country_id=france.pk), status=400)
    assert list(wrong_country["errors"]) == ["state_id"]
    wrong_state = api("post", acme_api, "address", whole(city, state_id=berlin.pk), status=400)
    assert wrong_state["errors"] == {"city_id": ["This city is not in Berlin."]}
    api("post", acme_api, "address", whole(city, city_id=10**9), status=404)
    assert Address.objects.count() == 0


@pytest.mark.parametrize("form", ["json", "multipart"])
@pytest.mark.parametrize(
    ("field", "value"), [("lat", "nan"), ("lat", 90.5), ("lan", -181), ("lan", "inf"), ("postal_code", "x" * 21)]
)
def test_impossible_values_are_refused(
    acme: Character, acme_api: APIClient, field: str, value: object, form: str
) -> None:
    answer = acme_api.post("/api/v1/address", whole(city_of(acme), **{field: value}), format=form)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_takes_as_many_queries_for_three_as_for_one(
    acme: Character, acme_api: APIClient, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        address_of(acme, street_address=f"Way {number}")
    acme_api.get("/api/v1/address")
    with django_assert_num_queries(3):  # the session, the schema, the addresses
        answer = acme_api.get("/api/v1/address")
    assert len(answer.json()["address"]) == count


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_of_cities_takes_as_many_queries_for_three_as_for_one(
    acme: Character, acme_api: APIClient, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    path = f"/api/v1/city/state/{bavaria().pk}"
    for number in range(count):
        city_of(acme, f"City {number}")
    with django_assert_num_queries(4):  # the schema, the session, the state, its cities
        answer = acme_api.get(path)
    assert len(answer.json()) == count
