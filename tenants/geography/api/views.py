"""Countries, states and cities for everybody; addresses for a company."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import ADMIN, PUBLIC, READ
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import answer
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import ServiceError
from knowrithm.principal import Principal
from tenants.api.authentication import principal_from_headers
from tenants.geography import selectors, services
from tenants.geography.api.serializers import (
    AddressInput,
    AddressSerializer,
    CityInput,
    CityReference,
    CitySerializer,
    CountryDetail,
    CountryInput,
    CountrySerializer,
    PlaceReference,
    StateDetail,
    StateInput,
    StateSerializer,
)

COUNTRY_SAVED = answer("CountrySaved", country=CountrySerializer())
STATE_SAVED = answer("StateSaved", state=StateSerializer())
CITY_SAVED = answer("CitySaved", city=CitySerializer())


def _caller(request: Request) -> Principal | None:
    """A bad credential is no reason to refuse what is public."""
    try:
        return principal_from_headers(request.headers)
    except ServiceError:
        return None


def _reader(request: Request) -> uuid.UUID | None:
    """Whose own places are shown beside the shared ones."""
    principal = _caller(request)
    return principal.company.id if principal and principal.company else None


class _PlaceViewSet(ApiViewSet):
    needs_company = False  # a super admin keeps the places that everybody sees


class SeedViewSet(ApiViewSet):
    access = PUBLIC

    @extend_schema(
        responses=answer(
            "GeographySeeded",
            message=serializers.CharField(),
            countries=serializers.IntegerField(),
            states=serializers.IntegerField(),
        )
    )
    def seed(self, request: Request) -> Response:
        """Countries and subdivisions of ISO 3166 that are missing. Changes nothing when none is."""
        added = services.complete_geography(actor=_caller(request))
        message = "All countries and states are there." if not any((added.countries, added.states)) else "Seeded."
        return Response({"message": message, "countries": added.countries, "states": added.states})


class CountryViewSet(_PlaceViewSet):
    access = {"list": PUBLIC, "retrieve": PUBLIC, "create": ADMIN, "update": ADMIN}

    @extend_schema(responses=CountrySerializer(many=True))
    def list(self, request: Request) -> Response:
        """A plain array, as are all public lists of places."""
        return Response(CountrySerializer(selectors.countries(_reader(request)), many=True).data)

    @extend_schema(responses=CountryDetail)
    def retrieve(self, request: Request, country_id: int) -> Response:
        reader = _reader(request)
        country = selectors.get_country(country_id, reader)
        states = PlaceReference(selectors.states_of(country, reader), many=True).data
        return Response({**CountrySerializer(country).data, "state": states, "states": states})

    @extend_schema(request=CountryInput, responses={201: COUNTRY_SAVED})
    def create(self, request: Request) -> Response:
        country = services.create_country(actor=self.principal(), **self.validated(CountryInput, request))
        return Response(single("country", CountrySerializer(country).data, message="Country added."), status=201)

    @extend_schema(request=CountryInput, responses=COUNTRY_SAVED)
    def update(self, request: Request, country_id: int) -> Response:
        changes = self.validated(CountryInput, request, partial=True)
        country = services.update_country(actor=self.principal(), country_id=country_id, changes=changes)
        return Response(single("country", CountrySerializer(country).data, message="Country updated."))


class StateViewSet(_PlaceViewSet):
    access = {"of_country": PUBLIC, "retrieve": PUBLIC, "create": ADMIN, "update": ADMIN}

    @extend_schema(responses=StateSerializer(many=True))
    def of_country(self, request: Request, country_id: int) -> Response:
        reader = _reader(request)
        states = selectors.states_of(selectors.get_country(country_id, reader), reader)
        return Response(StateSerializer(states, many=True).data)

    @extend_schema(responses=StateDetail)
    def retrieve(self, request: Request, state_id: int) -> Response:
        reader = _reader(request)
        state = selectors.get_state(state_id, reader)
        cities = CityReference(selectors.cities_of(state, reader), many=True).data
        return Response({**StateSerializer(state).data, "city": cities, "cities": cities})

    @extend_schema(request=StateInput, responses={201: STATE_SAVED})
    def create(self, request: Request) -> Response:
        state = services.create_state(actor=self.principal(), **self.validated(StateInput, request))
        return Response(single("state", StateSerializer(state).data, message="State added."), status=201)

    @extend_schema(request=StateInput, responses=STATE_SAVED)
    def update(self, request: Request, state_id: int) -> Response:
        changes = self.validated(StateInput, request, partial=True)
        state = services.update_state(actor=self.principal(), state_id=state_id, changes=changes)
        return Response(single("state", StateSerializer(state).data, message="State updated."))


class CityViewSet(_PlaceViewSet):
    access = {"of_state": PUBLIC, "retrieve": PUBLIC, "create": ADMIN, "update": ADMIN}

    @extend_schema(responses=CitySerializer(many=True))
    def of_state(self, request: Request, state_id: int) -> Response:
        reader = _reader(request)
        cities = selectors.cities_of(selectors.get_state(state_id, reader), reader)
        return Response(CitySerializer(cities, many=True).data)

    @extend_schema(responses=CitySerializer)
    def retrieve(self, request: Request, city_id: int) -> Response:
        return Response(CitySerializer(selectors.get_city(city_id, _reader(request))).data)

    @extend_schema(request=CityInput, responses={201: CITY_SAVED})
    def create(self, request: Request) -> Response:
        city = services.create_city(actor=self.principal(), **self.validated(CityInput, request))
        return Response(single("city", CitySerializer(city).data, message="City added."), status=201)

    @extend_schema(request=CityInput, responses=CITY_SAVED)
    def update(self, request: Request, city_id: int) -> Response:
        changes = self.validated(CityInput, request, partial=True)
        city = services.update_city(actor=self.principal(), city_id=city_id, changes=changes)
        return Response(single("city", CitySerializer(city).data, message="City updated."))


class AddressViewSet(ApiViewSet):
    access = {"list": READ, "create": ADMIN}

    @extend_schema(responses=answer("Addresses", address=AddressSerializer(many=True)))
    def list(self, request: Request) -> Response:
        """All addresses of the caller's company, the primary one first."""
        rows = AddressSerializer(selectors.addresses_of(self.principal().company_id), many=True).data
        return Response(listing(["address", "addresses"], rows))

    @extend_schema(request=AddressInput, responses={201: answer("AddressSaved", address=AddressSerializer())})
    def create(self, request: Request) -> Response:
        address = services.create_address(actor=self.principal(), **self.validated(AddressInput, request))
        record = AddressSerializer(address).data
        return Response(single("address", record, message="Address added."), status=201)
