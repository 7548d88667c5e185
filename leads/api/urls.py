from __future__ import annotations

from django.urls import path

from leads.api.encryption import LeadEncryptionViewSet
from leads.api.fields import LeadFieldViewSet
from leads.api.imports import LeadImportViewSet
from leads.api.scores import ScoreRulesViewSet
from leads.api.views import LeadViewSet

urlpatterns = [
    path("lead", LeadViewSet.as_view({"post": "create"})),
    path("lead/register", LeadViewSet.as_view({"post": "register"})),
    path("lead/visitor", LeadViewSet.as_view({"post": "visit", "patch": "identify"})),
    path("lead/company", LeadViewSet.as_view({"get": "of_company"})),
    path("lead/deleted", LeadViewSet.as_view({"get": "deleted"})),
    path("lead/duplicates", LeadViewSet.as_view({"get": "duplicates"})),
    path("lead/import", LeadImportViewSet.as_view({"post": "create"})),
    path("lead/import/<uuid:import_id>", LeadImportViewSet.as_view({"get": "retrieve", "patch": "recheck"})),
    path("lead/import/<uuid:import_id>/start", LeadImportViewSet.as_view({"post": "start"})),
    path("lead/import/<uuid:import_id>/refused", LeadImportViewSet.as_view({"get": "refused"})),
    path("lead/field", LeadFieldViewSet.as_view({"get": "list", "post": "create"})),
    path("lead/field/order", LeadFieldViewSet.as_view({"put": "reorder"})),
    path(
        "lead/field/<uuid:field_id>",
        LeadFieldViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
    ),
    path("lead/field/<uuid:field_id>/restore", LeadFieldViewSet.as_view({"patch": "restore"})),
    path(
        "lead/score-rules",
        ScoreRulesViewSet.as_view({"get": "retrieve", "put": "update", "delete": "restore"}),
    ),
    path("company/lead-encryption", LeadEncryptionViewSet.as_view({"get": "retrieve", "put": "update"})),
    path("lead/<uuid:lead_id>", LeadViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})),
    path("lead/<uuid:lead_id>/restore", LeadViewSet.as_view({"patch": "restore"})),
    path("lead/<uuid:lead_id>/timeline", LeadViewSet.as_view({"get": "timeline"})),
    path("lead/<uuid:lead_id>/consents", LeadViewSet.as_view({"get": "consents"})),
    path("lead/<uuid:lead_id>/note", LeadViewSet.as_view({"post": "note"})),
    path("lead/<uuid:lead_id>/merge", LeadViewSet.as_view({"post": "merge"})),
    path("lead/<uuid:lead_id>/unmerge", LeadViewSet.as_view({"post": "unmerge"})),
    path("sdk/lead", LeadViewSet.as_view({"post": "create"})),
    path("sdk/lead/<uuid:lead_id>", LeadViewSet.as_view({"put": "update", "delete": "destroy"})),
]
