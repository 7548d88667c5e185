from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

from django_tenants.utils import tenant_context
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents.models import LeadField
from agents.selectors import agent_without_settings, company_of_agent, lead_fields
from agents.widget_settings import check_active, check_origin
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import PUBLIC, READ, VISITOR, WRITE
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, answer, page
from knowrithm.api.throttling import client_address, limit
from knowrithm.api.views import ApiViewSet
from leads import selectors, services
from leads.api.serializers import (
    SHOWN,
    LeadConsentSerializer,
    LeadDuplicateSerializer,
    LeadEventSerializer,
    LeadInput,
    LeadQuery,
    LeadSerializer,
    LeadUpdateInput,
    LeadWriteInput,
    MergeInput,
    NoteInput,
    VisitInput,
    VisitorInput,
    asked_values,
)
from leads.models import Lead
from leads.selectors import LeadFilter
from tenants.tokens import TokenPair


def _origin(request: Request) -> str:
    """Of the page on which the visitor is; empty where none is named."""
    return request.headers.get("Origin", "")[:300]


def _whence(request: Request) -> dict[str, Any]:
    return {"ip_address": client_address(request), "user_agent": request.headers.get("User-Agent", "")[:300]}


def _welcome(lead: dict[str, Any], tokens: TokenPair) -> dict[str, Any]:
    return {
        "success": True,
        "message": "Welcome.",
        "lead": lead,
        "access_token": tokens.access,
        "refresh_token": tokens.refresh,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
    }


LeadAnswer = answer(
    "LeadAnswer", success=serializers.BooleanField(), message=serializers.CharField(), lead=LeadSerializer()
)
FILTERS = [
    *PAGE_PARAMETERS,
    OpenApiParameter("status", str),
    OpenApiParameter("search", str, description="In names and addresses; of an encrypted address the whole."),
    OpenApiParameter("agent_id", uuid.UUID),
    OpenApiParameter("tag", str),
    OpenApiParameter("source", str),
    OpenApiParameter(
        "custom_fields",
        {"type": "object", "additionalProperties": {"type": "string"}},
        style="deepObject",
        description="As `custom_fields[key]=value`: leads with the whole value in this field of the company.",
    ),
    OpenApiParameter("created_after", str),
    OpenApiParameter("created_before", str),
    OpenApiParameter("sort", str, enum=list(selectors.SORTS)),
]


class LeadViewSet(ApiViewSet):
    """`/lead` and `/sdk/lead` are two names of the same: all answer at once."""

    access = {
        "register": PUBLIC,
        "visit": PUBLIC,
        "identify": VISITOR,
        "of_company": READ,
        "deleted": READ,
        "create": WRITE,
        "retrieve": READ,
        "update": WRITE,
        "destroy": WRITE,
        "restore": WRITE,
        "timeline": READ,
        "consents": READ,
        "note": WRITE,
        "duplicates": READ,
        "merge": WRITE,
        "unmerge": WRITE,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        is_visitors = self.action in {"register", "visit", "identify"}
        return [limit("lead")(), limit("lead_daily")()] if is_visitors else []

    @cached_property
    def _fields(self) -> list[LeadField]:
        return lead_fields()

    def _records(self, leads: list[Lead]) -> list[dict[str, Any]]:
        company = self.principal().tenant
        context = {"company": {"id": company.id, "name": str(company)}, "fields": self._fields}
        return [dict(record) for record in LeadSerializer(leads, many=True, context=context).data]

    def _answer(self, lead: Lead, message: str, **options: Any) -> Response:
        [record] = self._records([lead])
        body = single("lead", record, success=True, message=message, initiated_by=str(self.principal().id))
        return Response(body, **options)

    @extend_schema(
        request=LeadInput,
        responses={
            201: answer(
                "LeadRegistered",
                success=serializers.BooleanField(),
                message=serializers.CharField(),
                lead=LeadSerializer(),
                access_token=serializers.CharField(),
                refresh_token=serializers.CharField(),
            )
        },
    )
    def register(self, request: Request) -> Response:
        """A visitor says who they are and may then talk to the agent. Answers the same when repeated.

        409 while the agent is not active.
        """
        data = self.validated(LeadInput, request)
        data["phone"] = data.get("phone") or ""
        sent = dict(data)
        company = company_of_agent(data["agent_id"])
        with tenant_context(company):
            agent = agent_without_settings(data.pop("agent_id"))
            check_origin(agent, request.headers)
            check_active(agent)
            registered = services.register_lead(
                agent=agent, company_id=company.id, origin=_origin(request), **_whence(request), **data
            )
        # What was sent, never what was known: anybody can type somebody else's address.
        shown = {"id": registered.lead.id, **{name: sent[name] for name in SHOWN}}
        return Response(_welcome(shown, registered.tokens), status=201)

    @extend_schema(
        request=VisitInput,
        responses={
            201: answer(
                "VisitStarted",
                success=serializers.BooleanField(),
                lead=serializers.DictField(),
                access_token=serializers.CharField(),
                refresh_token=serializers.CharField(),
            )
        },
    )
    def visit(self, request: Request) -> Response:
        """A token for a visitor who need not say who they are; with a `refresh_token`, a new one for the same visitor.

        403 where the agent wants to know first; 409 while it is not active; 401 for a token that is no good any more or
        of another page.
        """
        data = self.validated(VisitInput, request)
        company = company_of_agent(data["agent_id"])
        with tenant_context(company):
            agent = agent_without_settings(data["agent_id"])
            check_origin(agent, request.headers)
            who: dict[str, Any] = {"agent": agent, "company_id": company.id, "origin": _origin(request)}
            if token := data.get("refresh_token"):
                visit = services.renew_visit(refresh_token=token, **who)
            else:
                check_active(agent)
                visit = services.start_visit(**who, **_whence(request))
        return Response(_welcome({"id": visit.lead.id, "agent_id": agent.id}, visit.tokens), status=201)

    @extend_schema(
        request=VisitorInput,
        responses=answer("VisitorKnown", success=serializers.BooleanField(), lead=serializers.DictField()),
    )
    def identify(self, request: Request) -> Response:
        """The visitor whose token it is says who they are, in the midst of a conversation. The token stays."""
        data = self.validated(VisitorInput, request)
        lead = services.identify_visitor(actor=self.principal(), **{**data, "phone": data.get("phone") or ""})
        return Response({"success": True, "lead": {"id": lead.id, **{name: data.get(name) for name in SHOWN[1:]}}})

    @extend_schema(parameters=FILTERS, responses=answer("LeadPage", leads=LeadSerializer(many=True)))
    def of_company(self, request: Request) -> Response:
        """Those who were merged into another lead are not listed."""
        query = LeadQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        custom_fields = asked_values(request.query_params, self._fields)
        return self._page(request, LeadFilter(**query.validated_data, custom_fields=custom_fields), "leads")

    @extend_schema(
        parameters=PAGE_PARAMETERS, responses=page("DeletedLeads", "deleted_leads", LeadSerializer(many=True))
    )
    def deleted(self, request: Request) -> Response:
        return self._page(request, LeadFilter(is_archived=True), "deleted_leads")

    def _page(self, request: Request, wanted: LeadFilter, key: str) -> Response:
        leads, pagination = paginate(request, selectors.leads_list(wanted), per_page=20)
        records = self._records(leads)
        body = listing(list(dict.fromkeys([key, "leads"])), records, pagination)
        return Response({**body, "success": True, "data": {"leads": records, "pagination": pagination}})

    @extend_schema(request=LeadWriteInput, responses={201: LeadAnswer})
    def create(self, request: Request) -> Response:
        """A lead that the company writes down itself; without `agent_id` it is of no agent."""
        lead = services.create_lead(actor=self.principal(), **self.validated(LeadWriteInput, request))
        return self._answer(lead, "Lead created.", status=201)

    @extend_schema(responses=LeadAnswer)
    def retrieve(self, request: Request, lead_id: uuid.UUID) -> Response:
        return self._answer(selectors.get_lead(lead_id), "")

    @extend_schema(request=LeadUpdateInput, responses=LeadAnswer)
    def update(self, request: Request, lead_id: uuid.UUID) -> Response:
        """What is not sent stays. A new `status` is kept in the lead's history together with `status_note`."""
        data = self.validated(LeadUpdateInput, request)
        named = {name: data.pop(name) for name in ("status", "status_note", "consent_text_version") if name in data}
        lead = services.update_lead(actor=self.principal(), lead=selectors.get_lead(lead_id), changes=data, **named)
        return self._answer(lead, "Lead updated.")

    @extend_schema(responses=answer("LeadArchived", message=serializers.CharField(), lead_id=serializers.UUIDField()))
    def destroy(self, request: Request, lead_id: uuid.UUID) -> Response:
        """It can be restored, and comes back when the visitor registers again."""
        services.archive_lead(actor=self.principal(), lead=selectors.get_lead(lead_id))
        who = str(self.principal().id)
        return Response({"success": True, "message": "Lead archived.", "lead_id": lead_id, "initiated_by": who})

    @extend_schema(request=None, responses=LeadAnswer)
    def restore(self, request: Request, lead_id: uuid.UUID) -> Response:
        lead = selectors.get_lead(lead_id, include_archived=True)
        return self._answer(services.restore_lead(actor=self.principal(), lead=lead), "Lead restored.")

    @extend_schema(parameters=PAGE_PARAMETERS, responses=page("LeadTimeline", "events", LeadEventSerializer(many=True)))
    def timeline(self, request: Request, lead_id: uuid.UUID) -> Response:
        """What the company did with the lead: changes of its status, notes, merges. Newest first."""
        rows, pagination = paginate(request, selectors.get_lead(lead_id).events.all(), per_page=50)
        return Response(listing(["events"], LeadEventSerializer(rows, many=True).data, pagination))

    @extend_schema(
        parameters=PAGE_PARAMETERS, responses=page("LeadConsents", "consents", LeadConsentSerializer(many=True))
    )
    def consents(self, request: Request, lead_id: uuid.UUID) -> Response:
        """What the lead has consented to or taken back, when, and to which version of the text. Newest first.

        `is_unproven`: said by somebody who registered with this address later; the lead's own consents stay.
        """
        rows, pagination = paginate(request, selectors.get_lead(lead_id).consents.all(), per_page=50)
        return Response(listing(["consents"], LeadConsentSerializer(rows, many=True).data, pagination))

    @extend_schema(request=NoteInput, responses={201: answer("LeadNoteAnswer", event=LeadEventSerializer())})
    def note(self, request: Request, lead_id: uuid.UUID) -> Response:
        text = self.validated(NoteInput, request)["note"]
        event = services.add_lead_note(actor=self.principal(), lead=selectors.get_lead(lead_id), text=text)
        return Response(single("event", LeadEventSerializer(event).data), status=201)

    @extend_schema(
        parameters=PAGE_PARAMETERS,
        responses=page("LeadDuplicates", "duplicates", LeadDuplicateSerializer(many=True)),
    )
    def duplicates(self, request: Request) -> Response:
        """Leads that share an e-mail address or a telephone number, whatever their agents."""
        keys, pagination = paginate(request, selectors.duplicate_keys(), per_page=20)
        groups = [
            {"reason": group.reason, "leads": self._records(group.leads)} for group in selectors.duplicates_of(keys)
        ]
        return Response(listing(["duplicates"], groups, pagination))

    @extend_schema(request=MergeInput, responses=LeadAnswer)
    def merge(self, request: Request, lead_id: uuid.UUID) -> Response:
        """Those in `lead_ids` become a part of this lead. Nothing is lost: `unmerge` takes one out again."""
        others = self.validated(MergeInput, request)["lead_ids"]
        lead = services.merge_leads(actor=self.principal(), lead=selectors.get_lead(lead_id), other_ids=others)
        return self._answer(lead, "Leads merged.")

    @extend_schema(request=None, responses=LeadAnswer)
    def unmerge(self, request: Request, lead_id: uuid.UUID) -> Response:
        """A lead that was merged into another one is one of its own again."""
        lead = services.unmerge_lead(actor=self.principal(), lead=selectors.get_lead(lead_id))
        return self._answer(lead, "Lead taken out.")
