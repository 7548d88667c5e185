"""Countries, states, cities, and the addresses of companies. All are shared tables with integer ids.

A place without a company came with the installation and everybody sees it. One that a company has added carries that
company, and nobody else ever sees it: neither may one company change what another reads, nor send word through it.
"""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class PlaceQuerySet(models.QuerySet[Any, Any]):
    def visible_to(self, company_id: uuid.UUID | None) -> Self:
        """What came with the installation, and what the company, if any, has added."""
        return self.filter(models.Q(company=None) | models.Q(company=company_id)) if company_id else self.shared()

    def shared(self) -> Self:
        return self.filter(company=None)


class Place(models.Model):
    name = models.CharField(max_length=100)
    company = models.ForeignKey("tenants.Company", models.CASCADE, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = models.Manager.from_queryset(PlaceQuerySet)()

    class Meta:
        abstract = True
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Country(Place):
    iso_code = models.CharField(max_length=3, blank=True)  # of the seeded ones ISO 3166-1 alpha-2

    class Meta(Place.Meta):
        verbose_name_plural = "countries"
        constraints = [
            models.UniqueConstraint("company", Lower("name"), name="country_name_unique", nulls_distinct=False),
            models.UniqueConstraint(
                "company", "iso_code", condition=~models.Q(iso_code=""), name="country_iso_code_unique",
                nulls_distinct=False,
            ),
        ]  # fmt: skip


class State(Place):
    country = models.ForeignKey(Country, models.RESTRICT, related_name="states")
    code = models.CharField(max_length=10, blank=True)  # ISO 3166-2: "DE-BY"

    class Meta(Place.Meta):
        constraints = [
            models.UniqueConstraint(
                "company", "country", Lower("name"), name="state_name_unique_in_country", nulls_distinct=False
            )
        ]


class City(Place):
    state = models.ForeignKey(State, models.RESTRICT, related_name="cities")
    postal_code_prefix = models.CharField(max_length=10, blank=True)

    class Meta(Place.Meta):
        verbose_name_plural = "cities"
        constraints = [
            models.UniqueConstraint(
                "company", "state", Lower("name"), name="city_name_unique_in_state", nulls_distinct=False
            )
        ]


class AddressQuerySet(models.QuerySet[Any, Any]):
    def with_places(self) -> Self:
        return self.select_related("city__state__country")


class Address(models.Model):
    """Where a company is. State and country are the city's, so that the three always agree."""

    company = models.ForeignKey("tenants.Company", models.CASCADE, related_name="addresses")
    street_address = models.CharField(max_length=255)
    city = models.ForeignKey(City, models.RESTRICT, related_name="addresses")
    postal_code = models.CharField(max_length=20, blank=True)
    lat = models.FloatField(null=True, blank=True)  # degrees, north is positive
    lan = models.FloatField(null=True, blank=True)  # longitude in degrees, east is positive; the contract's name
    is_primary = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = models.Manager.from_queryset(AddressQuerySet)()

    class Meta:
        ordering = ["-is_primary", "id"]
        verbose_name_plural = "addresses"
        constraints = [
            models.UniqueConstraint(fields=["company"], condition=models.Q(is_primary=True), name="one_primary_address")
        ]

    def __str__(self) -> str:
        return self.street_address

    @property
    def state(self) -> State:
        return self.city.state

    @property
    def country(self) -> Country:
        return self.city.state.country
