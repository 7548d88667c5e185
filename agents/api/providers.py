from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Prefetch
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents import services
from agents.api.provider_serializers import (
    ImportInput,
    ModelInput,
    NewModelInput,
    NewProviderInput,
    ProviderInput,
    ProviderModelSerializer,
    ProviderSerializer,
)
from agents.catalog import services as catalogue
from agents.catalog.models import PricingTier, Provider, ProviderModel
from knowrithm.api.permissions import ADMIN, READ, SUPER_ADMIN
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import SentenceSerializer, answer
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import NotFoundError

ProviderAnswer = answer("ProviderAnswer", provider=ProviderSerializer())
ModelAnswer = answer("ModelAnswer", model=ProviderModelSerializer())


class ProviderViewSet(ApiViewSet):
    """The catalogue of providers and models. All companies share it, so super admins alone change it."""

    needs_company = False
    access = {
        "list": READ,
        "retrieve": READ,
        "models": READ,
        "model": READ,
        "by_kind": READ,
        "seed": ADMIN,
        "create": SUPER_ADMIN,
        "update": SUPER_ADMIN,
        "destroy": SUPER_ADMIN,
        "bulk_import": SUPER_ADMIN,
        "create_model": SUPER_ADMIN,
        "update_model": SUPER_ADMIN,
        "destroy_model": SUPER_ADMIN,
    }

    def _providers(self) -> Any:
        active = ProviderModel.objects.filter(is_active=True)
        return Provider.objects.filter(is_active=True).prefetch_related(Prefetch("models", active))

    def _get(self, provider_id: uuid.UUID) -> Provider:
        provider: Provider | None = self._providers().filter(pk=provider_id).first()
        if provider is None:
            raise NotFoundError("There is no such provider.")
        return provider

    def _get_model(self, provider_id: uuid.UUID, model_id: uuid.UUID) -> ProviderModel:
        model = (
            ProviderModel.objects.filter(pk=model_id, provider=provider_id, is_active=True, provider__is_active=True)
            .select_related("provider")
            .first()
        )
        if model is None:
            raise NotFoundError("There is no such model.")
        return model

    @extend_schema(
        parameters=[
            OpenApiParameter("type", str, enum=["llm", "embedding", "both"]),
            OpenApiParameter("status", str, enum=["active", "inactive"]),
            OpenApiParameter("include_models", bool),
        ],
        responses=answer("Providers", providers=ProviderSerializer(many=True), total=serializers.IntegerField()),
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        rows = self._providers()
        if query.get("status") == "inactive":
            rows = Provider.objects.filter(is_active=False).prefetch_related("models")
        if (kind := query.get("type", "")) in {"llm", "embedding"}:
            rows = rows.filter(kind__in=[kind, "both"])
        records = [_shown(row, request) for row in rows]
        return Response({**listing(["providers"], records), "total": len(records)})

    @extend_schema(parameters=[OpenApiParameter("include_models", bool)], responses=ProviderSerializer)
    def retrieve(self, request: Request, provider_id: uuid.UUID) -> Response:
        return Response(_shown(self._get(provider_id), request))

    @extend_schema(request=NewProviderInput, responses={201: ProviderAnswer})
    def create(self, request: Request) -> Response:
        fields = self.validated(NewProviderInput, request)
        provider = catalogue.create_provider(actor=self.principal(), fields=fields)
        return self._answer(provider, "Provider created.", 201)

    @extend_schema(request=ProviderInput, responses=ProviderAnswer)
    def update(self, request: Request, provider_id: uuid.UUID) -> Response:
        provider = catalogue.update_provider(
            actor=self.principal(), provider=self._get(provider_id), fields=self.validated(ProviderInput, request)
        )
        return self._answer(provider, "Provider updated.")

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, provider_id: uuid.UUID) -> Response:
        """Nobody can choose it any more; settings that use it go on working."""
        catalogue.delete_provider(actor=self.principal(), provider=self._get(provider_id))
        return Response({"message": "Provider deleted.", "provider_id": provider_id})

    @extend_schema(request=ImportInput, responses=SentenceSerializer)
    def bulk_import(self, request: Request) -> Response:
        """Add providers with their models, and bring those in date that are there: all of them or none."""
        providers = self.validated(ImportInput, request)["providers"]
        counts = catalogue.import_providers(actor=self.principal(), providers=providers)
        return Response({"message": "The catalogue was imported.", **counts})

    @extend_schema(
        parameters=[OpenApiParameter("type", str, enum=["llm", "embedding"])],
        responses=answer("ProviderModels", models=ProviderModelSerializer(many=True), total=serializers.IntegerField()),
    )
    def models(self, request: Request, provider_id: uuid.UUID) -> Response:
        provider = self._get(provider_id)
        kind = request.query_params.get("type", "")
        rows = [model for model in provider.models.all() if kind in {"", model.kind}]
        records = ProviderModelSerializer(rows, many=True).data
        return Response({**listing(["models"], records), "provider": provider.slug, "total": len(records)})

    @extend_schema(request=NewModelInput, responses={201: ModelAnswer})
    def create_model(self, request: Request, provider_id: uuid.UUID) -> Response:
        fields = self.validated(NewModelInput, request)
        model = catalogue.create_model(actor=self.principal(), provider=self._get(provider_id), fields=fields)
        record = single("model", ProviderModelSerializer(model).data, message="Model created.")
        return Response(record, status=201)

    @extend_schema(operation_id="provider_model_retrieve", responses=ProviderModelSerializer)
    def model(self, request: Request, provider_id: uuid.UUID, model_id: uuid.UUID) -> Response:
        return Response(ProviderModelSerializer(self._get_model(provider_id, model_id)).data)

    @extend_schema(request=ModelInput, responses=ModelAnswer)
    def update_model(self, request: Request, provider_id: uuid.UUID, model_id: uuid.UUID) -> Response:
        model = catalogue.update_model(
            actor=self.principal(),
            model=self._get_model(provider_id, model_id),
            fields=self.validated(ModelInput, request),
        )
        return Response(single("model", ProviderModelSerializer(model).data, message="Model updated."))

    @extend_schema(responses=SentenceSerializer)
    def destroy_model(self, request: Request, provider_id: uuid.UUID, model_id: uuid.UUID) -> Response:
        """Nobody can choose it any more; settings that use it go on working."""
        catalogue.delete_model(actor=self.principal(), model=self._get_model(provider_id, model_id))
        return Response({"message": "Model deleted.", "model_id": model_id})

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def by_kind(self, request: Request) -> Response:
        providers = list(self._providers())
        llm, embedding = (
            ProviderSerializer([row for row in providers if row.kind in {kind, "both"}], many=True).data
            for kind in ("llm", "embedding")
        )
        metadata = {
            "total_llm_providers": len(llm),
            "total_embedding_providers": len(embedding),
            "pricing_tiers": PricingTier.values,
            "last_updated": max((row.updated_at for row in providers), default=None),
        }
        return Response({"llm_providers": llm, "embedding_providers": embedding, "metadata": metadata})

    @extend_schema(request=None, responses=SentenceSerializer)
    def seed(self, request: Request) -> Response:
        """Add the providers and models that are missing. Repeating it changes nothing."""
        added = services.complete_catalogue(actor=self.principal())
        return Response({"message": f"{added} entries added.", "added": added})

    def _answer(self, provider: Provider, message: str, status: int = 200) -> Response:
        record = ProviderSerializer(self._providers().filter(pk=provider.pk).first() or provider).data
        return Response(single("provider", record, message=message), status=status)


def _shown(provider: Provider, request: Request) -> dict[str, Any]:
    record = dict(ProviderSerializer(provider).data)
    if request.query_params.get("include_models", "true").lower() == "false":
        del record["models"]
    return record
