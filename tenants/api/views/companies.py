"""Companies."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import ADMIN, ADMIN_OR_WRITE_KEY, PUBLIC, READ, SUPER_ADMIN
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, answer, page
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from tenants import selectors, services
from tenants.api.serializers import CompanyChanges, CompanyIds, CompanyInput, CompanySerializer, PurgeInput
from tenants.enums import CompanyStatus
from tenants.models import Company

PER_PAGE = 10
CHANGED = answer(
    "CompanyChanged",
    success=serializers.BooleanField(),
    message=serializers.CharField(),
    data=CompanySerializer(),
    company=CompanySerializer(),
)
PURGED = answer(
    "CompanyPurged",
    success=serializers.BooleanField(),
    message=serializers.CharField(),
    company_id=serializers.UUIDField(),
)


def _changed(company: Company, message: str) -> dict[str, Any]:
    record = CompanySerializer(company).data
    return single("company", record, success=True, message=message, data=record)


class OwnCompanyViewSet(ApiViewSet):
    access = {"create": PUBLIC, "retrieve": READ}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("register")()] if self.action == "create" else []

    @extend_schema(
        request={"application/json": CompanyInput, "multipart/form-data": CompanyInput}, responses={201: CHANGED}
    )
    def create(self, request: Request) -> Response:
        company = services.create_company(**self.validated(CompanyInput, request))
        return Response(_changed(company, "Company created."), status=201)

    @extend_schema(responses=CompanySerializer)
    def retrieve(self, request: Request) -> Response:
        """The caller's own company."""
        company = Company.objects.get(pk=self.principal().company_id)
        record = CompanySerializer(company).data
        return Response(single("company", record, companies=[record], data=[record]))


class CompanyViewSet(ApiViewSet):
    """Companies by their id: the caller's own, and for super admins any."""

    needs_company = False
    access = {
        "list": SUPER_ADMIN,
        "retrieve": READ,
        "update": ADMIN,
        "partial_update": ADMIN,
        "destroy": ADMIN_OR_WRITE_KEY,
        "bulk_delete": ADMIN_OR_WRITE_KEY,
        # What an archived company's admins may still do.
        "deleted": replace(READ, allows_archived=True),
        "restore": replace(ADMIN_OR_WRITE_KEY, allows_archived=True),
        "bulk_restore": replace(ADMIN_OR_WRITE_KEY, allows_archived=True),
        "purge": SUPER_ADMIN,
    }

    @extend_schema(
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("status", enum=[*CompanyStatus.values, "verified", "unverified", "all"]),
            OpenApiParameter("search", description="In name and e-mail address."),
        ],
        responses=page("CompanyPage", "companies", CompanySerializer(many=True)),
    )
    def list(self, request: Request) -> Response:
        """All companies; without `status` those that are not archived."""
        rows = selectors.companies_list(
            self.principal(),
            status=request.query_params.get("status", ""),
            search=request.query_params.get("search", "").strip(),
        )
        return self._page(request, rows, "companies")

    @extend_schema(
        parameters=PAGE_PARAMETERS,
        responses=page("DeletedCompanyPage", "deleted_companies", CompanySerializer(many=True)),
    )
    def deleted(self, request: Request) -> Response:
        """Archived companies: a super admin sees all, others at most their own."""
        rows = selectors.companies_list(self.principal(), status=CompanyStatus.ARCHIVED)
        return self._page(request, rows, "deleted_companies", "companies")

    def _page(self, request: Request, rows: Any, *keys: str) -> Response:
        found, pagination = paginate(request, rows, per_page=PER_PAGE)
        return Response(listing(keys, CompanySerializer(found, many=True).data, pagination))

    @extend_schema(operation_id="company_retrieve_by_id", responses=CompanySerializer)
    def retrieve(self, request: Request, company_id: uuid.UUID) -> Response:
        record = CompanySerializer(selectors.get_company(self.principal(), company_id)).data
        return Response(single("company", record, data=record))

    @extend_schema(
        request={"application/json": CompanyChanges, "multipart/form-data": CompanyChanges}, responses=CHANGED
    )
    def update(self, request: Request, company_id: uuid.UUID) -> Response:
        actor = self.principal()
        company = selectors.get_company(actor, company_id)
        changes = self.validated(CompanyChanges, request, partial=True)
        company = services.update_company(actor=actor, company=company, changes=changes)
        return Response(_changed(company, "Company updated."))

    partial_update = update

    @extend_schema(responses=CHANGED)
    def destroy(self, request: Request, company_id: uuid.UUID) -> Response:
        """Archive it. It is out of use at once; its admins can restore it for 30 days, a super admin at any time."""
        actor = self.principal()
        company = services.archive_company(actor=actor, company=selectors.get_company(actor, company_id))
        return Response(_changed(company, "Company archived."))

    @extend_schema(request=None, responses=CHANGED)
    def restore(self, request: Request, company_id: uuid.UUID) -> Response:
        actor = self.principal()
        company = services.restore_company(actor=actor, company=selectors.get_company(actor, company_id))
        return Response(_changed(company, "Company restored."))

    @extend_schema(
        request=CompanyIds,
        responses=answer("CompaniesArchived", message=serializers.CharField(), deleted=serializers.IntegerField()),
    )
    def bulk_delete(self, request: Request) -> Response:
        """Archive all of them, or none when one is unknown."""
        ids = self.validated(CompanyIds, request)["company_ids"]
        count = services.archive_companies(actor=self.principal(), company_ids=ids)
        return Response({"success": True, "message": f"Companies archived: {count}.", "deleted": count})

    @extend_schema(
        request=CompanyIds,
        responses=answer("CompaniesRestored", message=serializers.CharField(), restored=serializers.IntegerField()),
    )
    def bulk_restore(self, request: Request) -> Response:
        """Restore all of them, or none when one is unknown."""
        ids = self.validated(CompanyIds, request)["company_ids"]
        count = services.restore_companies(actor=self.principal(), company_ids=ids)
        return Response({"success": True, "message": f"Companies restored: {count}.", "restored": count})

    @extend_schema(request=PurgeInput, responses=PURGED)
    def purge(self, request: Request, company_id: uuid.UUID) -> Response:
        """Delete it and everything that is its own, for good. It is gone for its people at once; the rest is done in
        the background."""
        actor = self.principal()
        company = selectors.get_company(actor, company_id)
        services.purge_company(actor=actor, company=company, **self.validated(PurgeInput, request))
        message = "The company is being deleted with all its data."
        return Response({"success": True, "message": message, "company_id": company.id})
