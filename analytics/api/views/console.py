"""The super admin's console: people, companies, agents and documents of all companies, and what happens there."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone
from django_tenants.utils import tenant_context
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.serializers import AgentRowSerializer, AgentSerializer
from agents.selectors import agents_list
from analytics import services
from analytics.api.serializers import (
    AgentChanges,
    AgentQuery,
    AnyUserQuery,
    CompanyQuery,
    DocumentQuery,
    NewCompany,
    NewUser,
    UserChanges,
    UserQuery,
)
from analytics.api.views.base import ConsoleViewSet
from analytics.selectors.activity import activity_page
from analytics.selectors.companies import (
    companies_list,
    company_by_id,
    company_figures,
    users_list,
)
from documents.api.serializers import DocumentSerializer
from documents.selectors import documents_list
from knowrithm.api.pagination import page_of, paginate, pagination_of
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, PaginationSerializer, SentenceSerializer, answer, page
from knowrithm.errors import NotFoundError
from tenants.api.serializers import CompanyChanges, CompanySerializer, UserSerializer
from tenants.models import Company
from tenants.services import archive_user, create_company, create_user, update_company, update_user

USER_PAGE = page("ConsoleUserPage", "items", UserSerializer(many=True))


def company_records(companies: list[Company]) -> list[dict[str, Any]]:
    """Companies with `stats` and `analytics`, for all of them in one statement."""
    figures = company_figures(companies)
    return [{**CompanySerializer(company).data, **_figures(figures[company.pk])} for company in companies]


def _figures(figures: dict[str, Any]) -> dict[str, Any]:
    stats = {f"{kind}_count": figures[f"{kind}s"]["total"] for kind in ("user", "agent", "document")}
    return {"stats": stats, "analytics": figures}


class UserConsole(ConsoleViewSet):
    @extend_schema(parameters=[*PAGE_PARAMETERS, AnyUserQuery], responses=USER_PAGE)
    def list(self, request: Request) -> Response:
        users, pagination = paginate(request, users_list(**self.query(AnyUserQuery, request)), per_page=25)
        return Response(listing(["users"], UserSerializer(users, many=True).data, pagination))

    @extend_schema(request=UserChanges, responses=UserSerializer)
    def partial_update(self, request: Request, user_id: uuid.UUID) -> Response:
        changes = self.validated(UserChanges, request, partial=True)
        user = update_user(actor=self.principal(), user_id=user_id, changes=changes)
        return Response(single("user", UserSerializer(user).data))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, user_id: uuid.UUID) -> Response:
        """Deactivates and archives the person; the status `active` restores them."""
        user = archive_user(actor=self.principal(), user_id=user_id)
        return Response({"message": "User deactivated and archived.", "user": UserSerializer(user).data})


class CompanyConsole(ConsoleViewSet):
    @extend_schema(
        parameters=[*PAGE_PARAMETERS, CompanyQuery],
        responses=page("ConsoleCompanyPage", "items", CompanySerializer(many=True)),
    )
    def list(self, request: Request) -> Response:
        companies, pagination = paginate(request, companies_list(**self.query(CompanyQuery, request)), per_page=10)
        return Response(listing(["companies"], company_records(companies), pagination))

    @extend_schema(
        request={"application/json": NewCompany, "multipart/form-data": NewCompany}, responses={201: CompanySerializer}
    )
    def create(self, request: Request) -> Response:
        company = create_company(actor=self.principal(), **self.validated(NewCompany, request))
        return Response(single("company", CompanySerializer(company).data), status=201)

    @extend_schema(responses=CompanySerializer)
    def retrieve(self, request: Request, company_id: uuid.UUID) -> Response:
        [record] = company_records([company_by_id(company_id)])
        return Response(single("company", record))

    @extend_schema(
        request={"application/json": CompanyChanges, "multipart/form-data": CompanyChanges}, responses=CompanySerializer
    )
    def partial_update(self, request: Request, company_id: uuid.UUID) -> Response:
        changes = self.validated(CompanyChanges, request, partial=True)
        company = update_company(actor=self.principal(), company=company_by_id(company_id), changes=changes)
        return Response(single("company", CompanySerializer(company).data))

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def analytics(self, request: Request, company_id: uuid.UUID) -> Response:
        company = company_by_id(company_id)
        return Response(company_figures([company])[company.pk])

    @extend_schema(parameters=[*PAGE_PARAMETERS, UserQuery], responses=USER_PAGE)
    def users(self, request: Request, company_id: uuid.UUID) -> Response:
        rows = users_list(company_id=company_by_id(company_id).pk, **self.query(UserQuery, request))
        users, pagination = paginate(request, rows, per_page=25)
        return Response(listing(["users"], UserSerializer(users, many=True).data, pagination))

    @extend_schema(
        request=NewUser,
        responses={201: answer("ConsoleUserCreated", message=serializers.CharField(), user=UserSerializer())},
    )
    def create_user(self, request: Request, company_id: uuid.UUID) -> Response:
        data = self.validated(NewUser, request)
        user = create_user(actor=self.principal(), company_id=company_id, **data)
        return Response(single("user", UserSerializer(user).data, message="User created."), status=201)

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, AgentQuery],
        responses=page("ConsoleAgentPage", "items", AgentSerializer(many=True)),
    )
    def agents(self, request: Request, company_id: uuid.UUID) -> Response:
        company = _ready(company_by_id(company_id))
        with tenant_context(company):
            agents, pagination = paginate(request, agents_list(**self.query(AgentQuery, request)), per_page=25)
            records = AgentRowSerializer(agents, many=True, context={"company_id": company.pk}).data
        return Response(listing(["agents"], records, pagination))

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, DocumentQuery],
        responses=page("ConsoleDocumentPage", "items", DocumentSerializer(many=True)),
    )
    def documents(self, request: Request, company_id: uuid.UUID) -> Response:
        with tenant_context(_ready(company_by_id(company_id))):
            rows = documents_list(**self.query(DocumentQuery, request))
            documents, pagination = paginate(request, rows, per_page=25)
            records = DocumentSerializer(documents, many=True).data
        return Response(listing(["documents"], records, pagination))


def _ready(company: Company) -> Company:
    if not company.is_ready:
        raise NotFoundError("This company is not ready yet.")
    return company


class ContentConsole(ConsoleViewSet):
    @extend_schema(request=AgentChanges, responses=AgentSerializer)
    def update_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        changes = self.validated(AgentChanges, request, partial=True)
        company, agent = services.update_any_agent(actor=self.principal(), agent_id=agent_id, changes=changes)
        return Response(single("agent", AgentSerializer(agent, context={"company_id": company.pk}).data))

    @extend_schema(responses=SentenceSerializer)
    def destroy_document(self, request: Request, document_id: uuid.UUID) -> Response:
        chunks = services.archive_any_document(actor=self.principal(), document_id=document_id)
        return Response({"message": "Document archived.", "document_id": document_id, "chunks_deleted": chunks})


class ActivityItemSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    type = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    severity = serializers.CharField()
    timestamp = serializers.DateTimeField()
    company_id = serializers.UUIDField(allow_null=True)
    company_name = serializers.CharField(allow_null=True)
    actor_user_id = serializers.UUIDField(allow_null=True)
    target_url = serializers.CharField()


class ActivityConsole(ConsoleViewSet):
    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("types[]", str, many=True)],
        responses=answer(
            "ActivityFeed",
            items=ActivityItemSerializer(many=True),
            pagination=PaginationSerializer(),
            timestamp=serializers.DateTimeField(),
        ),
    )
    def list(self, request: Request) -> Response:
        """Events of all companies and of the platform, newest first. A type is `agent.updated` or just `agent`."""
        given = [*request.query_params.getlist("types[]"), *request.query_params.getlist("types")]
        types = [part.strip() for value in given for part in value.split(",") if part.strip()]
        number, size = page_of(request, per_page=25)
        rows, total = activity_page(types=types, start=(number - 1) * size, size=size)
        items = ActivityItemSerializer(rows, many=True).data
        return Response({**listing([], items, pagination_of(number, size, total)), "timestamp": timezone.now()})
