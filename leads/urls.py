from __future__ import annotations

from django.urls import path

from leads import views, views_fields, views_leads

urlpatterns = [
    path("company/privacy", views.privacy, name="company-privacy"),
    path("leads", views_leads.leads, name="leads"),
    path("leads/board", views_leads.board, name="lead-board"),
    path("leads/export", views_leads.export, name="lead-export"),
    path("leads/import", views_leads.import_file, name="lead-import-file"),
    path("leads/import/<uuid:pk>", views_leads.import_state, name="lead-import"),
    path("leads/import/<uuid:pk>/encoding", views_leads.import_encoding, name="lead-import-encoding"),
    path("leads/import/<uuid:pk>/start", views_leads.import_start, name="lead-import-start"),
    path("leads/import/<uuid:pk>/refused", views_leads.import_refused, name="lead-import-refused"),
    path("leads/new", views_leads.create, name="lead-create"),
    path("leads/duplicates", views_leads.duplicates, name="lead-duplicates"),
    path("leads/fields", views_fields.fields, name="lead-fields"),
    path("leads/fields/new", views_fields.create, name="lead-field-create"),
    path("leads/fields/<uuid:pk>/edit", views_fields.edit, name="lead-field-edit"),
    path("leads/fields/<uuid:pk>/move", views_fields.move, name="lead-field-move"),
    path("leads/fields/<uuid:pk>/archive", views_fields.archive, name="lead-field-archive"),
    path("leads/fields/<uuid:pk>/restore", views_fields.restore, name="lead-field-restore"),
    path("leads/<uuid:pk>/edit", views_leads.edit, name="lead-edit"),
    path("leads/<uuid:pk>/status", views_leads.set_status, name="lead-status"),
    path("leads/<uuid:pk>/note", views_leads.note, name="lead-note"),
    path("leads/<uuid:pk>/archive", views_leads.archive, name="lead-archive"),
    path("leads/<uuid:pk>/restore", views_leads.restore, name="lead-restore"),
    path("leads/<uuid:pk>/merge", views_leads.merge, name="lead-merge"),
    path("leads/<uuid:pk>/unmerge", views_leads.unmerge, name="lead-unmerge"),
]
