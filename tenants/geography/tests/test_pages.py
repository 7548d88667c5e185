from __future__ import annotations

import pytest
from django.test import Client
from django_tenants.utils import tenant_context

from conftest import PASSWORD, Character, page_client
from tenants.audit.models import AuditEvent
from tenants.geography.models import Address, City, Country, State
from tenants.models import User
from tenants.services import create_user

pytestmark = pytest.mark.django_db

PAGE = "/company/address"


def country(code: str) -> int:
    pk: int = Country.objects.get(iso_code=code).pk
    return pk


def form_for(**fields: object) -> dict[str, object]:
    state = State.objects.get(code="DE-BY").pk
    base = {"street_address": "Marienplatz 8", "country": country("DE"), "state": state, "city": "Munich"}
    return {**base, "postal_code": "80331", **fields}


def colleague(who: Character) -> Client:
    """Somebody of the company who is no admin."""
    user = create_user(
        actor=who.principal, email="u@acme.example", username="user", password=PASSWORD, first_name="U", last_name="S"
    )
    return page_client(Character(who.company, User.objects.get(pk=user.pk), who.agent))


def test_an_admin_adds_addresses_and_the_city_with_the_first(acme: Character, acme_client: Client) -> None:
    assert acme_client.post(PAGE, form_for(is_primary="on")).url == PAGE  # type: ignore[attr-defined]
    acme_client.post(PAGE, form_for(street_address="Sendlinger Str. 1", city="munich"))

    assert list(Address.objects.values_list("street_address", "is_primary", "city__name")) == [
        ("Marienplatz 8", True, "Munich"),
        ("Sendlinger Str. 1", False, "Munich"),
    ]
    assert City.objects.get().company == acme.company
    page = acme_client.get(PAGE).content.decode()
    assert page.index("Marienplatz 8") < page.index("Sendlinger Str. 1")
    with tenant_context(acme.company):
        assert list(AuditEvent.objects.order_by("position").values_list("event_type", flat=True)) == [
            "address.created", "address.created",
        ]  # fmt: skip
        first = AuditEvent.objects.earliest("position")
    assert (first.changes["new_city"], "new_state" in first.changes) == ([None, "Munich"], False)


def test_a_country_without_known_states_asks_for_its_name(acme: Character, acme_client: Client) -> None:
    aruba = country("AW")
    fragment = acme_client.get(f"{PAGE}/state", {"country": aruba}).content.decode()
    assert 'name="state_name"' in fragment
    assert 'name="state"' not in fragment

    acme_client.post(PAGE, form_for(country=aruba, state="", state_name="Oranjestad West", city="Oranjestad"))

    address = Address.objects.with_places().get()
    assert (address.city.name, address.state.name, address.country.name) == ("Oranjestad", "Oranjestad West", "Aruba")
    assert address.state.company == acme.company
    assert 'name="state_name"' in acme_client.get(f"{PAGE}/state", {"country": aruba}).content.decode()
    acme_client.post(PAGE, form_for(country=aruba, state="", state_name="oranjestad WEST", city="Ponton"))
    assert State.objects.filter(company=acme.company).count() == 1


def test_the_states_are_those_of_the_chosen_country(acme_client: Client) -> None:
    fragment = acme_client.get(f"{PAGE}/state", {"country": country("DE")}).content.decode()
    assert fragment.count("<option") == 17
    assert acme_client.get(f"{PAGE}/state", {"country": "nonsense"}).content.decode().count("<option") == 1


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        ({"street_address": ""}, "street_address"),
        ({"country": "x"}, "country"),
        ({"state": ""}, "state"),
        ({"state": "1\x00"}, "state"),
        ({"city": ""}, "city"),
        ({"postal_code": "x" * 21}, "postal_code"),
    ],
)
def test_what_is_missing_is_said_at_its_field(acme_client: Client, fields: dict[str, object], faulty: str) -> None:
    response = acme_client.post(PAGE, form_for(**fields))
    assert response.status_code == 200
    assert faulty in response.context["form"].errors
    assert Address.objects.count() == 0


def test_a_state_of_another_country_is_no_choice(acme_client: Client) -> None:
    french = State.objects.filter(country__iso_code="FR").values_list("pk", flat=True)[0]
    response = acme_client.post(PAGE, form_for(state=french))
    assert list(response.context["form"].errors) == ["state"]


def test_another_address_becomes_the_primary_one_and_one_is_deleted(acme: Character, acme_client: Client) -> None:
    acme_client.post(PAGE, form_for(is_primary="on"))
    acme_client.post(PAGE, form_for(street_address="Second"))
    first, second = Address.objects.order_by("pk")

    acme_client.post(f"{PAGE}/{second.pk}/primary")
    assert list(Address.objects.filter(is_primary=True)) == [second]
    acme_client.post(f"{PAGE}/{first.pk}/delete")
    assert list(Address.objects.all()) == [second]
    with tenant_context(acme.company):
        assert list(AuditEvent.objects.order_by("-position").values_list("event_type", flat=True)[:2]) == [
            "address.deleted", "address.updated",
        ]  # fmt: skip


def test_who_is_no_admin_sees_and_changes_nothing(acme: Character, acme_client: Client) -> None:
    acme_client.post(PAGE, form_for())
    address = Address.objects.get()
    client = colleague(acme)

    page = client.get(PAGE).content.decode()
    assert "Marienplatz 8" in page
    assert "Add an address" not in page
    client.post(PAGE, form_for(street_address="Mine"))
    client.post(f"{PAGE}/{address.pk}/primary")
    client.post(f"{PAGE}/{address.pk}/delete")
    assert list(Address.objects.values_list("street_address", "is_primary")) == [("Marienplatz 8", False)]
