from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from conftest import Character
from tenants.geography.models import City, Country, State
from tenants.geography.seed import Seeded, seed_geography

pytestmark = pytest.mark.django_db


def test_every_country_and_subdivision_is_there() -> None:
    assert Country.objects.shared().count() == 249
    assert State.objects.shared().count() == 5046
    assert City.objects.count() == 0
    assert State.objects.get(code="DE-BY").country.iso_code == "DE"
    assert Country.objects.get(iso_code="BO").name == "Bolivia"


def test_a_name_that_stands_twice_in_a_country_says_what_it_is() -> None:
    assert sorted(State.objects.filter(name__startswith="Dhaka").values_list("name", flat=True)) == [
        "Dhaka (District)",
        "Dhaka (Division)",
    ]


def test_seeding_again_costs_two_queries_and_changes_nothing(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    Country.objects.filter(iso_code="CZ").update(name="Czech lands")
    with django_assert_num_queries(2):
        assert seed_geography() == Seeded(0, 0)
    assert Country.objects.get(iso_code="CZ").name == "Czech lands"


def test_what_was_deleted_comes_back_beside_what_others_have_added(acme: Character) -> None:
    State.objects.filter(country__iso_code="MC").delete()
    Country.objects.filter(iso_code="MC").delete()
    Country.objects.create(company=acme.company, name="Monaco", iso_code="MC")
    assert seed_geography() == Seeded(1, 17)
    assert Country.objects.shared().get(iso_code="MC").states.count() == 17


def test_a_name_that_a_super_admin_has_added_by_hand_is_no_obstacle() -> None:
    State.objects.filter(country__iso_code="MC").delete()
    Country.objects.filter(iso_code="MC").update(iso_code="")
    assert seed_geography() == Seeded(1, 0)
    assert Country.objects.filter(name="Monaco").count() == 1
