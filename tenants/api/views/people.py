"""The people of a company, for its admins and for super admins."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import ADMIN, ADMIN_OR_READ_KEY, SUPER_ADMIN, SUPER_ADMIN_ONESELF
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, PaginationSerializer, answer
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import NotFoundError
from tenants import services, tokens
from tenants.api.serializers import UserSerializer
from tenants.api.serializers_people import (
    ImpersonationInput,
    NamesInput,
    PeopleFilters,
    ReasonInput,
    RoleInput,
    StatusInput,
)
from tenants.models import Company, User
from tenants.selectors import get_person, matching_people, people_for

PEOPLE = answer(
    "People",
    users=UserSerializer(many=True),
    pagination=PaginationSerializer(),
    filters_applied=serializers.DictField(),
)
PERSON = answer(
    "Person",
    success=serializers.BooleanField(),
    data=UserSerializer(),
    user=UserSerializer(),
    message=serializers.CharField(),
    timestamp=serializers.DateTimeField(),
)
CHANGED = answer("PersonChanged", message=serializers.CharField(), user=UserSerializer())


class PeopleViewSet(ApiViewSet):
    """The people of a company, for its admins; everybody, for super admins."""

    needs_company = False
    access = {
        "list": ADMIN,
        "of_company": ADMIN,
        "retrieve_for_admin": ADMIN,
        "retrieve": ADMIN_OR_READ_KEY,
        "partial_update": ADMIN,
        "destroy": ADMIN,
        "change_status": ADMIN,
        "change_role": SUPER_ADMIN,
        "impersonate": SUPER_ADMIN_ONESELF,
    }

    @extend_schema(parameters=[PeopleFilters, *PAGE_PARAMETERS], responses=PEOPLE)
    def list(self, request: Request) -> Response:
        return self._page(request, people_for(self.principal()))

    @extend_schema(parameters=[PeopleFilters, *PAGE_PARAMETERS], responses=PEOPLE)
    def of_company(self, request: Request, company_id: uuid.UUID) -> Response:
        """Of one company: any for a super admin, the own one for its admins."""
        actor = self.principal()
        is_visible = actor.company_id == company_id if actor.company else Company.objects.filter(pk=company_id).exists()
        if not is_visible:
            raise NotFoundError("There is no such company.")
        return self._page(request, people_for(actor).filter(company_id=company_id))

    def _page(self, request: Request, people: QuerySet[User]) -> Response:
        given = {name: value for name, value in request.query_params.items() if value != ""}
        bound = PeopleFilters(data=given)
        bound.is_valid(raise_exception=True)
        rows, pagination = paginate(request, matching_people(people, bound.validated_data), per_page=50)
        body = listing(["users"], UserSerializer(rows, many=True).data, pagination)
        return Response({**body, "filters_applied": bound.validated_data})

    @extend_schema(responses=PERSON)
    def retrieve(self, request: Request, user_id: uuid.UUID) -> Response:
        record = UserSerializer(get_person(self.principal(), user_id)).data
        body = single("user", record, data=record, success=True, message="User found.", timestamp=timezone.now())
        return Response(body)

    @extend_schema(responses=PERSON)
    def retrieve_for_admin(self, request: Request, user_id: uuid.UUID) -> Response:
        return self.retrieve(request, user_id)

    @extend_schema(request=NamesInput, responses=CHANGED)
    def partial_update(self, request: Request, user_id: uuid.UUID) -> Response:
        """Corrects the names of a person."""
        changes = self.validated(NamesInput, request)
        user = services.update_user(actor=self.principal(), user_id=user_id, changes=changes)
        return Response({"message": "Saved.", "user": UserSerializer(user).data})

    @extend_schema(request=ReasonInput, responses=CHANGED)
    def destroy(self, request: Request, user_id: uuid.UUID) -> Response:
        """Archives a person: signed out everywhere, and in the lists of archived people alone. What they made stays.
        The status `active` restores them."""
        data = self.validated(ReasonInput, request)
        user = services.archive_user(actor=self.principal(), user_id=user_id, **data)
        return Response({"message": f"{user} is archived.", "user": UserSerializer(user).data})

    @extend_schema(request=StatusInput, responses=CHANGED)
    def change_status(self, request: Request, user_id: uuid.UUID) -> Response:
        """Suspending somebody ends all their sessions at once, and their API keys are refused."""
        data = self.validated(StatusInput, request)
        user = services.change_user_status(actor=self.principal(), user_id=user_id, **data)
        return Response({"message": f"The status is {user.status} now.", "user": UserSerializer(user).data})

    @extend_schema(request=RoleInput, responses=CHANGED)
    def change_role(self, request: Request, user_id: uuid.UUID) -> Response:
        data = self.validated(RoleInput, request)
        user = services.change_user_role(actor=self.principal(), user_id=user_id, **data)
        return Response({"message": f"The role is {user.role} now.", "user": UserSerializer(user).data})

    @extend_schema(
        request=ImpersonationInput,
        responses=answer(
            "Impersonating",
            access_token=serializers.CharField(),
            token=serializers.CharField(),
            token_type=serializers.CharField(),
            expires_in=serializers.IntegerField(),
            expires_at=serializers.DateTimeField(),
            user=UserSerializer(),
            message=serializers.CharField(),
        ),
    )
    def impersonate(self, request: Request, user_id: uuid.UUID) -> Response:
        """A token as the person, for 15 minutes. It cannot be refreshed; signing out ends it."""
        data: dict[str, Any] = self.validated(ImpersonationInput, request)
        session = services.start_impersonation(actor=self.principal(), user_id=user_id, **data)
        token = tokens.issue_for_impersonator(session)
        return Response(
            {
                "message": f"You act as {session.user.email}.",
                "access_token": token,
                "token": token,
                "token_type": "Bearer",
                "expires_in": int(tokens.IMPERSONATION_LIFETIME.total_seconds()),
                "expires_at": session.expires_at,
                "user": UserSerializer(session.user).data,
            }
        )
