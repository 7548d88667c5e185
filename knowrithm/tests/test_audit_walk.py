"""Every route that changes something writes exactly one row of the audit log, in the transaction of the change.

A new route needs one line: in `WROTE` what it writes, or in `UNCHANGED` why it has nothing to write.
"""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from conftest import PASSWORD, Character, bearer, page_client
from knowrithm.routes import Route, all_routes
from knowrithm.tests.audit import (
    TOKEN,
    Row,
    Wrote,
    active_document,
    all_rows,
    archived,
    archived_chunk,
    archived_company,
    archived_conversation,
    archived_dataset,
    archived_document,
    archived_lead,
    archived_lead_field,
    archived_message,
    archived_website,
    asks_nothing,
    begun_two_factor,
    block_logs,
    builtin_model,
    builtin_models,
    call,
    catalogue_rows,
    changed_agent,
    client_for,
    confirmed_address,
    counted_document,
    drafted_agent,
    edited_chunk,
    enrolled,
    failed_document,
    index_before,
    index_in_the_making,
    is_page,
    linked_person,
    locked_person,
    mailed_invitation,
    mailed_reset,
    mailed_verification,
    merged_lead,
    missing_model,
    other_sizes,
    person_with_two_factor,
    prepare,
    running_crawl,
    second_lead_field,
    state_of,
    stored_file_of_leads,
    taken_conversation,
    the_question,
    unclaimed_company,
    unused_settings,
    waiting_conversation,
    without_handover,
    writes_after_the_row,
)
from knowrithm.tests.isolation import Treasure

NEW_USER = {"password": "a-long-enough-one", "first_name": "Ada", "last_name": "Byron", "email": "ada@new.example"}
LEAD = {"agent_id": "{agent_id}", "first_name": "Vic", "last_name": "Itor", "email": "vic@example.org"}
LEAD_FIELD = {"name": "Team size", "type": "number"}
LEAD_FORM = {"first_name": "Vic", "email": "vic@example.org", "status": "lost"}
LOGIN = {"email": "admin@acme.example", "password": PASSWORD}
AGENT = {"agent_id": "{agent_id}"}
ASKED = {"bot_id": "{agent_id}", "messages": [{"role": "user", "content": "Hello?"}]}
GUARDRAIL_FORM = {"name": "New", "topic_embedder": "builtin", "rules-TOTAL_FORMS": "0", "rules-INITIAL_FORMS": "0"}
WEBHOOK = {"name": "New", "url": "https://8.8.8.8/hook"}
RERANKER: dict[str, object] = {
    "provider": "vllm",
    "model": "m",
    "base_url": "https://rerank.example.org",
    "passages": 20,
}
CHUNKING = {"chunk_size": 100, "chunk_overlap": 10}
AGENT_FORM = {
    "name": "Renamed", "status": "active", "provider": "builtin", "model": "{model_id}", "temperature": "0.5",
    "max_tokens": "500", "answer_length": "short",
}  # fmt: skip
WIDGET_FORM = {
    "color": "#ff0000", "position": "left", "theme": "dark", "ask": "none", "ask_after": "2", "first_name": "hidden",
    "last_name": "hidden", "phone": "hidden",
}  # fmt: skip
MODELS_FORM = {
    "name": "Renamed", "llm_provider": "builtin", "llm_model": "{model_id}", "llm_temperature": "0.5",
    "llm_max_tokens": "500", "embedding_provider": "builtin", "embedding_model": "{embedding_model_id}",
    "embedding_dimension": "384", "fallback_after": "2.5",
}  # fmt: skip
SESSION = "the new person's session is a second transaction: a company is there even if signing in to it fails"
INVITED = {"token": TOKEN, "password": "a-long-enough-one", "first_name": "Ada", "last_name": "Byron"}
ADDRESS = {"street_address": "Way 1", "country_id": "{country_id}", "state_id": "{state_id}", "city_id": "{city_id}"}
ADDRESS_FORM = {"street_address": "Way 1", "country": "{country_id}", "state_name": "New", "city": "New"}
COMPANY_FORM = {"name": "Renamed", "email": "admin@acme.example", "ocr_languages": ["eng"]}
COMPANY = {"company_ids": ["{company_id}"]}
RENAMED = {"name": "Renamed"}
SSO = {"issuer": "https://login.acme.example", "client_id": "new", "email_domains": ["acme.example"]}
free_agent = archived_conversation  # one with active conversations cannot be archived

WROTE: dict[str, Wrote] = {
    # tenants
    "POST /api/v1/auth/register": Wrote(
        "company.claimed",
        {**NEW_USER, "company_id": "{unclaimed_id}"},
        log="new",
        prepare=unclaimed_company,
        follows=SESSION,
    ),
    "POST /api/v1/auth/login": Wrote("user.signed_in", LOGIN),
    "POST /api/v1/auth/logout": Wrote("user.signed_out"),
    "POST /api/v1/auth/user": Wrote("user.created", {**NEW_USER, "username": "ada"}),
    "POST /api/v1/auth/api-keys": Wrote("api_key.created", {"name": "mine"}),
    "DELETE /api/v1/auth/api-keys/<uuid:api_key_id>": Wrote("api_key.revoked"),
    "DELETE /api/v1/auth/sessions": Wrote("user.signed_out_elsewhere"),
    "DELETE /api/v1/auth/sessions/<uuid:session_id>": Wrote("session.ended"),
    "POST /api/v1/auth/password": Wrote(
        "user.password_changed", {"current_password": PASSWORD, "new_password": "a-long-enough-one"}
    ),
    "POST /api/v1/auth/email": Wrote("user.email_change_asked", {"email": "new@acme.example", "password": PASSWORD}),
    "POST /api/v1/auth/password/reset": Wrote(
        "user.password_reset", {"token": TOKEN, "password": "a-long-enough-one"}, prepare=mailed_reset
    ),
    "PUT /api/v1/user/profile": Wrote("user.profile_updated", {"first_name": "Grace"}),
    "POST /api/v1/company": Wrote("company.created", {"name": "New", "email": "new@new.example"}, log="new"),
    "POST /login": Wrote("user.signed_in", LOGIN),
    "POST /logout": Wrote("user.signed_out"),
    "POST /signup": Wrote("company.registered", {**NEW_USER, "company_name": "New"}, log="new", follows=SESSION),
    "POST /api-keys": Wrote("api_key.created", {"name": "mine", "scopes": "read"}),
    "POST /api-keys/<uuid:pk>/revoke": Wrote("api_key.revoked"),
    "POST /account": Wrote(
        "user.profile_updated", {"form": "profile", "first_name": "G", "last_name": "H", "timezone": "UTC"}
    ),
    "POST /account/sessions/<uuid:pk>/revoke": Wrote("session.ended"),
    "POST /documents/retention": Wrote("documents.retention_changed", {"version_days": "90"}),
    "POST /audit-log": Wrote("audit_log.retention_changed", {"days": "90"}),
    "PATCH /api/v1/auth/api-keys/<uuid:api_key_id>": Wrote("api_key.updated", RENAMED),
    "POST /api/v1/auth/api-keys/<uuid:api_key_id>/rotate": Wrote("api_key.rotated"),
    "POST /api-keys/<uuid:pk>": Wrote(
        "api_key.updated", {**RENAMED, "rate_limit_per_hour": "5", "rate_limit_per_day": "5"}
    ),
    "POST /api-keys/<uuid:pk>/rotate": Wrote("api_key.rotated", {"overlap_hours": "24"}),
    "POST /account/sessions/revoke-others": Wrote("user.signed_out_elsewhere"),
    # tenants: two-factor, single sign-on
    "POST /api/v1/auth/two-factor": Wrote("two_factor.set_up_started"),
    "POST /api/v1/auth/two-factor/confirm": Wrote("two_factor.enabled", {"otp": "{otp}"}, prepare=begun_two_factor),
    "POST /api/v1/auth/two-factor/recovery-codes": Wrote(
        "two_factor.recovery_codes_renewed", {"otp": "{otp}"}, prepare=enrolled
    ),
    "DELETE /api/v1/auth/two-factor": Wrote(
        "two_factor.disabled", {"password": PASSWORD, "otp": "{otp}"}, prepare=enrolled
    ),
    "POST /two-factor": Wrote("two_factor.set_up_started", {"form": "begin"}),
    "POST /security": Wrote("company.security_changed", {"form": "policy", "is_required": "on"}),
    "PUT /api/v1/company/two-factor-policy": Wrote("company.security_changed", {"is_required": True}),
    "PUT /api/v1/company/single-sign-on": Wrote("company.security_changed", SSO, prepare=confirmed_address),
    "DELETE /api/v1/company/single-sign-on": Wrote("company.security_changed"),
    "PUT /api/v1/company/audit-retention": Wrote("audit_log.retention_changed", {"days": 90}),
    "PUT /api/v1/company/document-retention": Wrote(
        "documents.retention_changed", {"version_days": 90, "archive_days": None}
    ),
    "POST /api/v1/user/<uuid:user_id>/unlock": Wrote("user.unlocked", prepare=locked_person),
    "DELETE /api/v1/user/<uuid:user_id>/two-factor": Wrote("two_factor.reset", prepare=person_with_two_factor),
    "DELETE /api/v1/user/<uuid:user_id>/single-sign-on": Wrote("user.sso_unlinked", prepare=linked_person),
    # tenants: people, acting for them, configuration
    "PATCH /api/v1/user/<uuid:user_id>": Wrote("user.updated", {"first_name": "Grace"}),
    "DELETE /api/v1/user/<uuid:user_id>": Wrote("user.archived"),
    "POST /people/<uuid:pk>": Wrote("user.updated", {"first_name": "Grace", "last_name": "Hopper"}),
    "POST /people/<uuid:pk>/archive": Wrote("user.archived"),
    "PATCH /api/v1/user/<uuid:user_id>/status": Wrote("user.status_changed", {"status": "suspended"}),
    "PATCH /api/v1/user/<uuid:user_id>/role": Wrote("user.role_changed", {"role": "admin"}, by_root=True),
    "POST /api/v1/user/<uuid:user_id>/impersonate": Wrote("user.impersonation_started", by_root=True),
    "PATCH /api/v1/config": Wrote("config.updated", {"config_key": "theme", "config_value": "dark"}),
    "DELETE /api/v1/config/<uuid:config_id>": Wrote("config.removed"),
    "POST /configuration": Wrote("config.updated", {"config_key": "theme", "config_value": "dark"}),
    "POST /configuration/<uuid:pk>/remove": Wrote("config.removed"),
    "POST /people/<uuid:pk>/status": Wrote("user.status_changed", {"status": "suspended"}),
    "POST /people/<uuid:pk>/role": Wrote("user.role_changed", {"role": "admin"}),
    "POST /people/<uuid:pk>/unlock": Wrote("user.unlocked", prepare=locked_person),
    "POST /people/<uuid:pk>/force-password-reset": Wrote("user.password_reset_forced"),
    "POST /people/<uuid:pk>/reset-two-factor": Wrote("two_factor.reset", prepare=person_with_two_factor),
    "POST /people/<uuid:pk>/unlink": Wrote("user.sso_unlinked", prepare=linked_person),
    # tenants: mailed links
    "POST /api/v1/user/<uuid:user_id>/force-password-reset": Wrote("user.password_reset_forced"),
    "POST /api/v1/verify": Wrote("user.email_verified", {"token": TOKEN}, prepare=mailed_verification),
    "POST /verify-email": Wrote("user.email_verified", {"token": TOKEN}, prepare=mailed_verification),
    "POST /password/reset": Wrote(
        "user.password_reset",
        {"token": TOKEN, "password": "a-long-enough-one", "password_again": "a-long-enough-one"},
        prepare=mailed_reset,
    ),
    "POST /api/v1/invitation": Wrote("invitation.created", {"email": "eve@new.example"}),
    "DELETE /api/v1/invitation/<uuid:invitation_id>": Wrote("invitation.revoked"),
    "POST /api/v1/invitation/<uuid:invitation_id>/resend": Wrote("invitation.resent"),
    "POST /api/v1/invitation/accept": Wrote("invitation.accepted", INVITED, prepare=mailed_invitation, follows=SESSION),
    "POST /invitation": Wrote("invitation.accepted", INVITED, prepare=mailed_invitation, follows=SESSION),
    "POST /invitations": Wrote("invitation.created", {"emails": "eve@new.example", "role": "user"}),
    "POST /invitations/<uuid:pk>/resend": Wrote("invitation.resent"),
    "POST /invitations/<uuid:pk>/revoke": Wrote("invitation.revoked"),
    # tenants: companies
    "PUT /api/v1/company/<uuid:company_id>": Wrote("company.updated", RENAMED),
    "PATCH /api/v1/company/<uuid:company_id>": Wrote("company.updated", {**RENAMED, "address_id": "{address_id}"}),
    "DELETE /api/v1/company/<uuid:company_id>": Wrote("company.archived"),
    "PATCH /api/v1/company/<uuid:company_id>/restore": Wrote("company.restored", prepare=archived_company),
    "DELETE /api/v1/company/<uuid:company_id>/cascade-delete": Wrote(
        "company.purge_started", {"delete_related": True}, log="platform", by_root=True
    ),
    "DELETE /api/v1/company/bulk-delete": Wrote("company.archived", COMPANY),
    "PATCH /api/v1/company/bulk-restore": Wrote("company.restored", COMPANY, prepare=archived_company, by_root=True),
    "POST /company": Wrote("company.updated", COMPANY_FORM),
    "POST /company/archive": Wrote("company.archived"),
    "POST /company/archived": Wrote("company.restored", prepare=archived_company),
    # geography
    "POST /api/v1/country": Wrote("country.created", {"name": "Atlantis"}),
    "PATCH /api/v1/country/<int:country_id>": Wrote("country.updated", RENAMED),
    "POST /api/v1/state": Wrote("state.created", {"name": "New", "country_id": "{country_id}"}),
    "PATCH /api/v1/state/<int:state_id>": Wrote("state.updated", RENAMED),
    "POST /api/v1/city": Wrote("city.created", {"name": "New", "state_id": "{state_id}"}),
    "PATCH /api/v1/city/<int:city_id>": Wrote("city.updated", RENAMED),
    "POST /api/v1/address": Wrote("address.created", ADDRESS),
    "POST /company/address": Wrote("address.created", ADDRESS_FORM),
    "POST /company/address/<int:pk>/primary": Wrote("address.updated"),
    "POST /company/address/<int:pk>/delete": Wrote("address.deleted"),
    # the super admin's console
    "POST /api/v1/super-admin/companies": Wrote(
        "company.created", {"name": "New", "email": "new@new.example"}, log="new", by_root=True
    ),
    "PATCH /api/v1/super-admin/companies/<uuid:company_id>": Wrote("company.updated", RENAMED, by_root=True),
    "POST /api/v1/super-admin/companies/<uuid:company_id>/users": Wrote(
        "user.created", {**NEW_USER, "username": "ada"}, by_root=True
    ),
    "PATCH /api/v1/super-admin/users/<uuid:user_id>": Wrote("user.updated", {"first_name": "Grace"}, by_root=True),
    "DELETE /api/v1/super-admin/users/<uuid:user_id>": Wrote("user.archived", by_root=True),
    "PATCH /api/v1/super-admin/agents/<uuid:agent_id>": Wrote("agent.updated", RENAMED, by_root=True),
    "DELETE /api/v1/super-admin/documents/<uuid:document_id>": Wrote(
        "document.archived", prepare=counted_document, by_root=True
    ),
    # agents
    "POST /api/v1/agent": Wrote("agent.created", {"name": "New", "llm_temperature": 0.1}),
    "POST /api/v1/sdk/agent": Wrote("agent.created", {"name": "New"}),
    "PUT /api/v1/agent/<uuid:agent_id>": Wrote("agent.updated", {"name": "Renamed", "llm_max_tokens": 77}),
    "PUT /api/v1/sdk/agent/<uuid:agent_id>": Wrote("agent.updated", {"name": "Renamed"}),
    "DELETE /api/v1/agent/<uuid:agent_id>": Wrote("agent.archived", prepare=free_agent),
    "DELETE /api/v1/sdk/agent/<uuid:agent_id>": Wrote("agent.archived", prepare=free_agent),
    "PATCH /api/v1/agent/<uuid:agent_id>/restore": Wrote("agent.restored", prepare=archived(Agent, "agent_id")),
    "POST /api/v1/agent/<uuid:agent_id>/clone": Wrote("agent.cloned", {"with_knowledge": True}),
    "POST /api/v1/agent/<uuid:agent_id>/test": Wrote("agent.tested"),
    "POST /api/v1/agent/<uuid:agent_id>/publish": Wrote("agent.published", prepare=drafted_agent),
    "POST /api/v1/agent/<uuid:agent_id>/versions/<int:number>/rollback": Wrote(
        "agent.rolled_back", prepare=changed_agent
    ),
    "DELETE /api/v1/agent/<uuid:agent_id>/draft": Wrote("agent.draft_discarded", prepare=drafted_agent),
    "POST /api/v1/settings": Wrote("llm_settings.created", {"name": "New", "llm_max_tokens": 5}),
    "POST /api/v1/sdk/settings": Wrote("agent.updated", {**AGENT, "name": "New", "llm_max_tokens": 5}),
    "PUT /api/v1/settings/<uuid:settings_id>": Wrote("llm_settings.updated", {"llm_max_tokens": 5}),
    "DELETE /api/v1/settings/<uuid:settings_id>": Wrote("llm_settings.deleted", prepare=unused_settings),
    "POST /api/v1/settings/providers/seed": Wrote("catalogue.completed", log="platform", prepare=missing_model),
    "POST /api/v1/providers": Wrote("provider.created", {"name": "Acme AI"}, log="platform", by_root=True),
    "POST /api/v1/providers/bulk-import": Wrote(
        "catalogue.imported",
        {"providers": [{"name": "Acme AI", "models": [{"name": "m-1"}]}]},
        log="platform",
        by_root=True,
    ),
    "PUT /api/v1/providers/<uuid:provider_id>": Wrote(
        "provider.updated", {"label": "Renamed"}, log="platform", prepare=catalogue_rows, by_root=True
    ),
    "DELETE /api/v1/providers/<uuid:provider_id>": Wrote(
        "provider.deleted", log="platform", prepare=catalogue_rows, by_root=True
    ),
    "POST /api/v1/providers/<uuid:provider_id>/models": Wrote(
        "provider_model.created", {"name": "m-1"}, log="platform", prepare=catalogue_rows, by_root=True
    ),
    "PUT /api/v1/providers/<uuid:provider_id>/models/<uuid:model_id>": Wrote(
        "provider_model.updated", {"input_price": 7}, log="platform", prepare=catalogue_rows, by_root=True
    ),
    "DELETE /api/v1/providers/<uuid:provider_id>/models/<uuid:model_id>": Wrote(
        "provider_model.deleted", log="platform", prepare=catalogue_rows, by_root=True
    ),
    "POST /models/new": Wrote("llm_settings.created", MODELS_FORM, prepare=builtin_models),
    "POST /models/<uuid:pk>/edit": Wrote("llm_settings.updated", MODELS_FORM, prepare=builtin_models),
    "POST /models/<uuid:pk>/default": Wrote("llm_settings.updated"),
    "POST /models/<uuid:pk>/delete": Wrote("llm_settings.deleted", prepare=unused_settings),
    "POST /agents/new": Wrote("agent.created", AGENT_FORM, prepare=builtin_model),
    "POST /agents/<uuid:pk>/retrieval": Wrote(
        "agent.draft_saved", {"top_k": "3", "dense_weight": "0.4", "threshold": "0.5"}
    ),
    "POST /agents/<uuid:pk>/widget": Wrote("agent.updated", WIDGET_FORM),
    "POST /agents/<uuid:pk>/edit": Wrote("agent.draft_saved", AGENT_FORM, prepare=builtin_model),
    "POST /agents/<uuid:pk>/publish": Wrote("agent.published", prepare=drafted_agent),
    "POST /agents/<uuid:pk>/discard": Wrote("agent.draft_discarded", prepare=drafted_agent),
    "POST /agents/<uuid:pk>/rollback": Wrote("agent.rolled_back", {"number": "1"}, prepare=changed_agent),
    "POST /agents/<uuid:pk>/archive": Wrote("agent.archived", prepare=free_agent),
    "POST /agents/<uuid:pk>/restore": Wrote("agent.restored", prepare=archived(Agent, "agent_id")),
    # documents
    "POST /api/v1/document/upload": Wrote(
        "document.uploaded", {**AGENT, "urls": ["https://a.example", "https://b.example"]}
    ),
    "DELETE /api/v1/document/bulk-delete": Wrote(
        "document.archived", {"document_ids": ["{document_id}"]}, prepare=counted_document
    ),
    "DELETE /api/v1/document/<uuid:document_id>": Wrote("document.archived", prepare=counted_document),
    "PATCH /api/v1/document/<uuid:document_id>/restore": Wrote("document.restored", prepare=archived_document),
    "POST /api/v1/document/<uuid:document_id>/retry": Wrote("document.retried", prepare=failed_document),
    "POST /api/v1/document/<uuid:document_id>/cancel": Wrote("document.cancelled", prepare=active_document),
    "DELETE /api/v1/document/<uuid:document_id>/chunk": Wrote("document_chunk.archived"),
    "PATCH /api/v1/document/<uuid:document_id>/chunk/restore-all": Wrote(
        "document_chunk.restored", prepare=archived_chunk
    ),
    "DELETE /api/v1/document/chunk/<uuid:chunk_id>": Wrote("document_chunk.archived"),
    "PATCH /api/v1/document/chunk/<uuid:chunk_id>": Wrote("document_chunk.edited", {"content": "Better said."}),
    "POST /api/v1/document/chunk/<uuid:chunk_id>/undo": Wrote("document_chunk.edit_undone", prepare=edited_chunk),
    "PATCH /api/v1/document/<uuid:document_id>": Wrote("document.updated", {"tags": ["new"]}),
    "POST /api/v1/document/<uuid:document_id>/replace": Wrote("document.replaced", {"url": "https://a.example"}),
    "POST /api/v1/agent/<uuid:agent_id>/index/build": Wrote("agent.index_build_started", prepare=other_sizes),
    "POST /api/v1/agent/<uuid:agent_id>/index/cancel": Wrote(
        "agent.index_build_cancelled", prepare=index_in_the_making
    ),
    "POST /api/v1/agent/<uuid:agent_id>/index/rollback": Wrote("agent.index_rolled_back", prepare=index_before),
    "POST /api/v1/dataset/<uuid:dataset_id>/index/build": Wrote("dataset.index_build_started", prepare=other_sizes),
    "POST /api/v1/dataset/<uuid:dataset_id>/index/cancel": Wrote(
        "dataset.index_build_cancelled", prepare=index_in_the_making
    ),
    "POST /api/v1/dataset/<uuid:dataset_id>/index/rollback": Wrote("dataset.index_rolled_back", prepare=index_before),
    "POST /documents/index/<uuid:pk>/build": Wrote("agent.index_build_started", prepare=other_sizes),
    "POST /documents/index/<uuid:pk>/cancel": Wrote("agent.index_build_cancelled", prepare=index_in_the_making),
    "POST /documents/index/<uuid:pk>/rollback": Wrote("agent.index_rolled_back", prepare=index_before),
    "PUT /api/v1/agent/<uuid:agent_id>/reranker": Wrote("agent.reranker_set", RERANKER),
    "DELETE /api/v1/agent/<uuid:agent_id>/reranker": Wrote("agent.reranker_removed"),
    "POST /agents/<uuid:pk>/reranker": Wrote(
        "agent.reranker_set", {f"rerank-{name}": str(value) for name, value in RERANKER.items()}
    ),
    "POST /agents/<uuid:pk>/reranker/remove": Wrote("agent.reranker_removed"),
    "PUT /api/v1/agent/<uuid:agent_id>/chunking": Wrote("agent.chunking_changed", CHUNKING),
    "PUT /api/v1/dataset/<uuid:dataset_id>/chunking": Wrote("dataset.chunking_changed", CHUNKING),
    "PATCH /api/v1/document/chunk/<uuid:chunk_id>/restore": Wrote("document_chunk.restored", prepare=archived_chunk),
    "POST /documents/upload": Wrote("document.uploaded", {"home": "{agent_id}", "url": "https://a.example"}),
    "POST /api/v1/dataset": Wrote("dataset.created", {"name": "New", "agent_ids": ["{agent_id}"]}),
    "PUT /api/v1/dataset/<uuid:dataset_id>": Wrote("dataset.updated", RENAMED),
    "PATCH /api/v1/dataset/<uuid:dataset_id>": Wrote("dataset.updated", {"agent_ids": []}),
    "DELETE /api/v1/dataset/<uuid:dataset_id>": Wrote("dataset.archived"),
    "PATCH /api/v1/dataset/<uuid:dataset_id>/restore": Wrote("dataset.restored", prepare=archived_dataset),
    "POST /datasets/new": Wrote("dataset.created", {"name": "New"}),
    "POST /datasets/<uuid:pk>/edit": Wrote("dataset.updated", RENAMED),
    "POST /datasets/<uuid:pk>/archive": Wrote("dataset.archived"),
    "POST /datasets/<uuid:pk>/restore": Wrote("dataset.restored", prepare=archived_dataset),
    "POST /api/v1/website/source": Wrote("website_source.created", {**AGENT, "base_url": "https://8.8.8.8"}),
    "PUT /api/v1/website/source/<uuid:source_id>": Wrote("website_source.updated", {"notes": "New"}),
    "DELETE /api/v1/website/source/<uuid:source_id>": Wrote("website_source.archived"),
    "PATCH /api/v1/website/source/<uuid:source_id>/restore": Wrote("website_source.restored", prepare=archived_website),
    "POST /api/v1/website/source/<uuid:source_id>/crawl": Wrote("website_source.crawl_requested"),
    "POST /api/v1/website/source/<uuid:source_id>/crawl/cancel": Wrote(
        "website_source.crawl_stopped", prepare=running_crawl
    ),
    "DELETE /api/v1/sdk/website/source/<uuid:source_id>": Wrote("website_source.archived"),
    "POST /api/v1/sdk/website/source/<uuid:source_id>/crawl": Wrote("website_source.crawl_requested", {"max_pages": 1}),
    "POST /api/v1/website/handshake": Wrote(
        "website_source.crawl_requested", {**AGENT, "url": "https://canary-7f3a91.example/a", "trigger_crawl": True}
    ),
    "POST /websites/new": Wrote(
        "website_source.created",
        {
            "base_url": "https://8.8.8.8",
            "home": "{agent_id}",
            "mode": "links",
            "max_pages": "5",
            "max_depth": "1",
            "crawl_frequency_minutes": "0",
        },
    ),
    "POST /websites/<uuid:pk>/edit": Wrote(
        "website_source.updated",
        {
            "base_url": "https://8.8.4.4",
            "mode": "single",
            "max_pages": "5",
            "max_depth": "1",
            "crawl_frequency_minutes": "60",
        },
    ),
    "POST /websites/<uuid:pk>/crawl": Wrote("website_source.crawl_requested"),
    "POST /websites/<uuid:pk>/stop": Wrote("website_source.crawl_stopped", prepare=running_crawl),
    "POST /websites/<uuid:pk>/pause": Wrote("website_source.updated"),
    "POST /websites/<uuid:pk>/archive": Wrote("website_source.archived"),
    "POST /websites/<uuid:pk>/restore": Wrote("website_source.restored", prepare=archived_website),
    "POST /documents/<uuid:pk>/edit": Wrote("document.updated", {"title": "New", "tags": "a, b"}),
    "POST /documents/<uuid:pk>/replace": Wrote("document.replaced", {"url": "https://a.example"}),
    "POST /documents/splitting/<uuid:pk>": Wrote("agent.chunking_changed", CHUNKING),
    "POST /documents/chunk/<uuid:pk>/edit": Wrote("document_chunk.edited", {"content": "Better said."}),
    "POST /documents/chunk/<uuid:pk>/undo": Wrote("document_chunk.edit_undone", prepare=edited_chunk),
    "POST /documents/chunk/<uuid:pk>/switch": Wrote("document_chunk.archived"),
    "POST /documents/<uuid:pk>/retry": Wrote("document.retried", prepare=failed_document),
    "POST /documents/<uuid:pk>/cancel": Wrote("document.cancelled", prepare=active_document),
    "POST /documents/<uuid:pk>/archive": Wrote("document.archived", prepare=counted_document),
    "POST /documents/archive": Wrote("document.archived", {"document": "{document_id}"}, prepare=counted_document),
    "POST /documents/<uuid:pk>/switch": Wrote("document_chunk.archived"),
    "POST /documents/<uuid:pk>/restore": Wrote("document.restored", prepare=archived_document),
    # leads
    "POST /api/v1/lead/register": Wrote("lead.registered", LEAD),
    "POST /api/v1/lead/visitor": Wrote("lead.visit_started", AGENT, prepare=asks_nothing),
    "PATCH /api/v1/lead/visitor": Wrote("lead.registered", {**LEAD_FORM, "last_name": ""}, by_visitor=True),
    "POST /api/v1/lead": Wrote("lead.created", LEAD),
    "POST /api/v1/sdk/lead": Wrote("lead.created", LEAD),
    "PUT /api/v1/lead/<uuid:lead_id>": Wrote("lead.updated", {"status": "lost", "notes": "New"}),
    "PUT /api/v1/sdk/lead/<uuid:lead_id>": Wrote("lead.updated", {"consent_marketing": True}),
    "DELETE /api/v1/lead/<uuid:lead_id>": Wrote("lead.archived"),
    "DELETE /api/v1/sdk/lead/<uuid:lead_id>": Wrote("lead.archived"),
    "PATCH /api/v1/lead/<uuid:lead_id>/restore": Wrote("lead.restored", prepare=archived_lead),
    "POST /api/v1/lead/<uuid:lead_id>/note": Wrote("lead.note_added", {"note": "New"}),
    "POST /api/v1/lead/<uuid:lead_id>/merge": Wrote("lead.merged", {"lead_ids": ["{other_lead_id}"]}),
    "POST /api/v1/lead/<uuid:lead_id>/unmerge": Wrote("lead.unmerged", prepare=merged_lead),
    "PATCH /api/v1/lead/import/<uuid:import_id>": Wrote(
        "lead_import.checked", {"encoding": "windows-1250"}, prepare=stored_file_of_leads
    ),
    "POST /api/v1/lead/import/<uuid:import_id>/start": Wrote("lead_import.started"),
    "POST /api/v1/lead/field": Wrote("lead_field.created", LEAD_FIELD),
    "PUT /api/v1/lead/field/order": Wrote("lead_field.reordered", {"field_ids": ["{field_id}"]}),
    "PUT /api/v1/lead/field/<uuid:field_id>": Wrote("lead_field.updated", RENAMED),
    "DELETE /api/v1/lead/field/<uuid:field_id>": Wrote("lead_field.archived"),
    "PATCH /api/v1/lead/field/<uuid:field_id>/restore": Wrote("lead_field.restored", prepare=archived_lead_field),
    "POST /leads/fields/new": Wrote("lead_field.created", LEAD_FIELD),
    "POST /leads/fields/<uuid:pk>/edit": Wrote("lead_field.updated", {**LEAD_FIELD, "option-0": "New"}),
    "POST /leads/fields/<uuid:pk>/move": Wrote("lead_field.reordered", {"to": "down"}, prepare=second_lead_field),
    "POST /leads/fields/<uuid:pk>/archive": Wrote("lead_field.archived"),
    "POST /leads/fields/<uuid:pk>/restore": Wrote("lead_field.restored", prepare=archived_lead_field),
    "PUT /api/v1/lead/score-rules": Wrote("lead_scores.changed", {"rules": {"need.says": {"is_on": False}}}),
    "DELETE /api/v1/lead/score-rules": Wrote("lead_scores.restored"),
    "POST /leads/score-rules": Wrote(
        "lead_scores.changed", {"need": "40", "fit": "10", "urgency": "25", "contactability": "25"}
    ),
    "POST /leads/score-rules/restore": Wrote("lead_scores.restored"),
    "POST /leads/new": Wrote("lead.created", LEAD_FORM),
    "POST /leads/<uuid:pk>/edit": Wrote("lead.updated", LEAD_FORM),
    "POST /leads/<uuid:pk>/status": Wrote("lead.status_changed", {"status": "lost"}),
    "POST /leads/<uuid:pk>/note": Wrote("lead.note_added", {"note": "New"}),
    "POST /leads/<uuid:pk>/archive": Wrote("lead.archived"),
    "POST /leads/<uuid:pk>/restore": Wrote("lead.restored", prepare=archived_lead),
    "POST /leads/<uuid:pk>/merge": Wrote("lead.merged", {"other": "{other_lead_id}"}),
    "POST /leads/<uuid:pk>/unmerge": Wrote("lead.unmerged", prepare=merged_lead),
    "POST /leads/import/<uuid:pk>/encoding": Wrote(
        "lead_import.checked", {"encoding": "windows-1250"}, prepare=stored_file_of_leads
    ),
    "POST /leads/import/<uuid:pk>/start": Wrote("lead_import.started"),
    "PUT /api/v1/company/lead-encryption": Wrote("company.lead_encryption_changed", {"is_on": True}),
    "POST /company/privacy": Wrote("company.lead_encryption_changed", {"encrypt": "on"}),
    # conversations
    "POST /api/v1/conversation": Wrote("conversation.created", AGENT),
    "DELETE /api/v1/conversation/<uuid:conversation_id>": Wrote("conversation.archived"),
    "PATCH /api/v1/conversation/<uuid:conversation_id>/restore": Wrote(
        "conversation.restored", prepare=archived_conversation
    ),
    "POST /api/v1/conversation/<uuid:conversation_id>/chat": Wrote("message.sent", {"message": "Hello?"}),
    "PATCH /api/v1/conversation/<uuid:conversation_id>": Wrote("conversation.updated", {"tags": ["new"]}),
    "DELETE /api/v1/conversation/<uuid:conversation_id>/messages": Wrote("messages.archived"),
    "PATCH /api/v1/conversation/<uuid:conversation_id>/message/restore-all": Wrote(
        "messages.restored", prepare=archived_message
    ),
    "PATCH /api/v1/message/<uuid:message_id>": Wrote("message.edited", {"message": "Hello?"}, prepare=the_question),
    "DELETE /api/v1/message/<uuid:message_id>": Wrote("message.archived"),
    "PATCH /api/v1/message/<uuid:message_id>/restore": Wrote("message.restored", prepare=archived_message),
    "POST /api/v1/message/<uuid:message_id>/regenerate": Wrote("message.answered_again"),
    "POST /api/v1/message/<uuid:message_id>/stop": Wrote("message.stopped"),
    "POST /api/v1/message/<uuid:message_id>/feedback": Wrote("message.rated", {"rating": 1}),
    "POST /api/v1/message/<uuid:message_id>/replay": Wrote("message.replayed", {"inputs": "now"}),
    "POST /conversations/messages/<uuid:pk>/replay": Wrote("message.replayed", {"inputs": "now"}),
    "POST /conversations/<uuid:pk>": Wrote("conversation.updated", {"title": "New", "tags": "a, b"}),
    "POST /conversations/<uuid:pk>/close": Wrote("conversation.updated"),
    "POST /agents/<uuid:pk>/conversations/close": Wrote("conversations.closed"),
    "POST /api/v1/conversation/agent/<uuid:agent_id>/close": Wrote("conversations.closed"),
    "POST /conversations/<uuid:pk>/reopen": Wrote("conversation.updated"),
    "POST /api/v1/chat": Wrote("message.sent", {**ASKED, "session_id": "{conversation_id}"}),
    # integrations
    "POST /api/v1/webhook": Wrote("webhook.created", WEBHOOK),
    "PUT /api/v1/webhook/<uuid:webhook_id>": Wrote("webhook.updated", RENAMED),
    "PATCH /api/v1/webhook/<uuid:webhook_id>": Wrote("webhook.updated", RENAMED),
    "DELETE /api/v1/webhook/<uuid:webhook_id>": Wrote("webhook.deleted"),
    "POST /api/v1/webhook/<uuid:webhook_id>/rotate": Wrote("webhook.secret_rotated"),
    "POST /api/v1/webhook/<uuid:webhook_id>/test": Wrote("webhook.tested"),
    "POST /api/v1/webhook/delivery/<uuid:delivery_id>/resend": Wrote("webhook.delivery_resent"),
    "POST /webhooks/new": Wrote("webhook.created", WEBHOOK),
    "POST /webhooks/<uuid:pk>/edit": Wrote("webhook.updated", WEBHOOK),
    "POST /webhooks/<uuid:pk>/rotate": Wrote("webhook.secret_rotated", {"overlap_hours": "24"}),
    "POST /webhooks/<uuid:pk>/test": Wrote("webhook.tested"),
    "POST /webhooks/<uuid:pk>/switch": Wrote("webhook.updated"),
    "POST /webhooks/<uuid:pk>/delete": Wrote("webhook.deleted"),
    "POST /webhooks/delivery/<uuid:pk>/resend": Wrote("webhook.delivery_resent"),
    # guardrails
    "POST /api/v1/guardrail": Wrote("guardrail.created", {"name": "New", "agent_ids": ["{agent_id}"]}),
    "PUT /api/v1/guardrail/<uuid:guardrail_id>": Wrote("guardrail.updated", RENAMED),
    "PATCH /api/v1/guardrail/<uuid:guardrail_id>": Wrote("guardrail.updated", {"is_active": False}),
    "DELETE /api/v1/guardrail/<uuid:guardrail_id>": Wrote("guardrail.deleted"),
    "POST /guardrails/new": Wrote("guardrail.created", GUARDRAIL_FORM),
    "POST /guardrails/<uuid:pk>": Wrote("guardrail.updated", GUARDRAIL_FORM),
    "POST /guardrails/<uuid:pk>/delete": Wrote("guardrail.deleted"),
    "POST /conversations/<uuid:pk>/archive": Wrote("conversation.archived"),
    "POST /conversations/<uuid:pk>/restore": Wrote("conversation.restored", prepare=archived_conversation),
    # conversations: people
    "POST /api/v1/conversation/<uuid:conversation_id>/handover": Wrote(
        "handover.requested", {"message": "x"}, prepare=without_handover
    ),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/address": Wrote(
        "handover.address_left", {"email": "vic@example.org"}
    ),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/take": Wrote("handover.taken"),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/assign": Wrote(
        "handover.assigned", {"user_id": "{admin_id}"}
    ),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/message": Wrote(
        "message.sent_by_person", {"message": "x"}, prepare=taken_conversation
    ),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/back": Wrote(
        "handover.handed_back", {}, prepare=taken_conversation
    ),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/close": Wrote(
        "handover.closed", prepare=waiting_conversation
    ),
    "POST /api/v1/conversation/<uuid:conversation_id>/notes": Wrote("conversation.noted", {"message": "x"}),
    "POST /api/v1/canned-reply": Wrote("canned_reply.created", {"shortcut": "new", "text": "x"}),
    "PUT /api/v1/canned-reply/<uuid:reply_id>": Wrote("canned_reply.updated", {"shortcut": "new", "text": "x"}),
    "PATCH /api/v1/canned-reply/<uuid:reply_id>": Wrote("canned_reply.updated", {"text": "x"}),
    "DELETE /api/v1/canned-reply/<uuid:reply_id>": Wrote("canned_reply.deleted"),
    "POST /inbox/<uuid:pk>/take": Wrote("handover.taken"),
    "POST /inbox/<uuid:pk>/assign": Wrote("handover.assigned", {"user_id": "{admin_id}"}),
    "POST /inbox/<uuid:pk>/write": Wrote("message.sent_by_person", {"message": "x"}, prepare=taken_conversation),
    "POST /inbox/<uuid:pk>/back": Wrote("handover.handed_back", prepare=taken_conversation),
    "POST /inbox/<uuid:pk>/close": Wrote("handover.closed", prepare=waiting_conversation),
    "POST /inbox/replies": Wrote("canned_reply.created", {"shortcut": "new", "text": "x"}),
    "POST /inbox/replies/<uuid:pk>": Wrote("canned_reply.updated", {"shortcut": "new", "text": "x"}),
    "POST /inbox/replies/<uuid:pk>/delete": Wrote("canned_reply.deleted"),
    # notifications
    "PUT /api/v1/notification/preferences": Wrote(
        "notification.preferences_changed", {"preferences": [{"kind": "lead", "in_app": False, "mail": False}]}
    ),
    "POST /notifications/preferences": Wrote("notification.preferences_changed"),
}

UNCHANGED = {
    **dict.fromkeys(
        (
            "POST /api/v1/conversation/<uuid:conversation_id>/read",
            "POST /api/v1/notification/read",
            "POST /api/v1/notification/<uuid:notification_id>/read",
            "POST /notifications/read",
            "POST /notifications/<uuid:pk>",
        ),
        "says what was looked at",
    ),
    "POST /api/v1/conversation/<uuid:conversation_id>/typing": "is stored nowhere",
    "POST /api/v1/inbox/presence": "is stored in no table",
    "POST /inbox/presence": "is stored in no table",
    "POST /api/v1/auth/refresh": "goes on with the same session; the end of a session is recorded",
    "POST /api/v1/search/document": "reads",
    "POST /api/v1/search/trial": "reads",
    "POST /api/v1/settings/test": "asks a provider something; nothing is stored",
    "POST /api/v1/settings/test/<uuid:settings_id>": "asks a provider something; nothing is stored",
    "POST /models/test": "asks a provider something; nothing is stored",
    "POST /models/<uuid:pk>/test": "asks a provider something; nothing is stored",
    "POST /api/v1/guardrail/<uuid:guardrail_id>/try": "tries; nothing is stored",
    "POST /api/v1/lead/import": "takes a file: its row is in leads/tests/test_import_api.py",
    "POST /guardrails/<uuid:pk>/try": "tries; nothing is stored",
    "POST /api/v1/lead/score-rules/preview": "tries; nothing is stored",
    "POST /leads/score-rules/preview": "tries; nothing is stored",
    "POST /api/v1/document/preview": "reads; nothing is stored",
    "POST /api/v1/system-metric": "has a worker read figures of the company's own rows",
    "POST /api/v1/send": "answers alike for every address; the worker that mails the link writes the row",
    "POST /verify-email/send": "answers alike for every address; the worker that mails the link writes the row",
    "POST /api/v1/auth/password/forgot": "answers alike for every address; the worker that mails it writes the row",
    "POST /api/v1/company/single-sign-on/test": "asks a provider something; nothing is stored",
    "POST /password/forgot": "answers alike for every address; the worker that mails the link writes the row",
    "POST /sso/login": "sends the browser to the company's provider",
    "POST /sso/callback": "needs a provider: its row is in tenants/tests/test_single_sign_on.py",
    "POST /acting/stop": "needs a super admin who acts: its row is in tenants/tests/test_impersonation.py",
    "POST /login/code": "needs the password before it: see `test_a_sign_in_in_two_steps_writes_one_row`",
    "POST /test": "echoes its own body",
    "POST /api/test": "echoes its own body",
    "POST /api/v1/test": "echoes its own body",
}

# Pages that answer to POST as they do to GET, or refuse it.
READING_PAGES = {
    "/": "shows",
    "/audit-log/export": "downloads",
    "/api-usage": "shows",
    "/api-usage/sparklines": "shows",
    "/company/address/state": "shows",
    "/company-logo/<uuid:company_id>/<slug:digest>.png": "downloads",
    "/agents": "shows",
    "/agents/<uuid:pk>/embed": "shows",
    "/agents/<uuid:pk>/versions": "shows",
    "/people": "shows",
    "/agents/<uuid:pk>/preview": "shows",
    "/documents": "shows",
    "/datasets": "shows",
    "/datasets/<uuid:pk>": "shows",
    "/websites": "shows",
    "/models": "shows",
    "/websites/preview": "asks the site what may be read",
    "/websites/<uuid:pk>": "shows",
    "/documents/<uuid:pk>": "shows",
    "/documents/<uuid:pk>/row": "shows",
    "/documents/<uuid:pk>/download": "downloads",
    "/documents/chunk/<uuid:pk>": "shows",
    "/documents/index/<uuid:pk>": "shows",
    "/home": "shows",
    "/conversations/messages/<uuid:pk>": "shows",
    "/agents/<uuid:pk>": "shows",
    "/agents/<uuid:pk>/chat": "shows",
    "/conversations": "shows",
    "/conversations/passage/<uuid:pk>": "shows",
    "/leads": "shows",
    "/leads/board": "shows",
    "/leads/export": "downloads",
    "/leads/import": "without a file it shows; with one its row is in leads/tests/test_csv.py",
    "/leads/import/<uuid:pk>": "shows",
    "/leads/import/<uuid:pk>/refused": "downloads",
    "/leads/duplicates": "shows",
    "/leads/fields": "shows",
    "/leads/<uuid:pk>": "shows",
    "/webhooks": "shows",
    "/webhooks/<uuid:pk>": "shows",
    "/webhooks/delivery/<uuid:pk>": "shows",
    "/guardrails": "shows",
    "/guardrails/decisions": "shows",
    "/inbox": "shows",
    "/inbox/marks": "shows",
    "/continue/typing": "tells whoever listens, and stores nothing",
    "/continue": "without a mailed link it shows that; with one its rows are in conversations/tests",
    "/notifications": "shows",
    "/notifications/unsubscribe": "takes a signed link: its row is in notifications/tests",
    "/demo": "registers a nameless visitor with the demo: written by register_lead, where there is a demo",
}

NO_PAGES = ("/api/", "/health", "/widget", "/test")


def routes() -> list[Route]:
    """Every verb of the API that may change something, and POST for every page."""
    found = []
    for route in all_routes():
        if route.path.startswith(NO_PAGES):
            if route.method not in {"GET", "HEAD", "OPTIONS"}:
                found.append(route)
        elif route.path not in READING_PAGES:
            found.append(Route("POST", route.path, None, route.view))
    return list({route.key: route for route in found}.values())


ROUTES = routes()
PROBED = [route for route in ROUTES if route.key in WROTE]


def test_every_route_that_changes_something_is_known() -> None:
    keys = {route.key for route in ROUTES}
    assert keys - WROTE.keys() - UNCHANGED.keys() == set(), "these routes have no line here"
    assert (WROTE.keys() | UNCHANGED.keys()) - keys == set(), "these lines have no route"
    pages = {route.path for route in all_routes() if not route.path.startswith(NO_PAGES)}
    assert READING_PAGES.keys() - pages == set(), "these lines have no page"


@pytest.mark.parametrize("route", PROBED, ids=[route.key for route in PROBED])
def test_a_change_writes_one_row_and_then_nothing_more(route: Route, acme: Character, treasure: Treasure) -> None:
    probe = WROTE[route.key]
    prepare(probe, acme, treasure)
    client = client_for(route, acme, probe)
    before, state = all_rows(), state_of(acme)

    with CaptureQueriesContext(connection) as captured:
        answer = call(client, route, probe, treasure)

    assert answer.status_code < 400, answer.content[:500]
    [written] = all_rows() - before
    schemas = {"company": acme.company.schema_name, "platform": "public"}
    assert written == Row(schemas.get(probe.log, written.schema), written.id, probe.event)
    assert (written.schema in schemas.values()) == (probe.log != "new")
    assert state_of(acme) != state
    later = writes_after_the_row([query["sql"] for query in captured.captured_queries])
    assert bool(later) == bool(probe.follows), later


# The schema of a new company is made in the transaction of its first row: there is nothing to block beforehand.
BLOCKABLE = [route for route in PROBED if WROTE[route.key].log != "new"]


@pytest.mark.parametrize("route", BLOCKABLE, ids=[route.key for route in BLOCKABLE])
def test_what_cannot_be_recorded_does_not_happen(route: Route, acme: Character, treasure: Treasure) -> None:
    """The row and the change are one transaction: where the row cannot be written, nothing has changed."""
    probe = WROTE[route.key]
    prepare(probe, acme, treasure)
    client = client_for(route, acme, probe)
    block_logs(acme)
    before = state_of(acme)

    answer = call(client, route, probe, treasure)

    assert answer.status_code == 500
    assert state_of(acme) == before


@pytest.mark.parametrize("path", [path for path in READING_PAGES if path != "/demo"])
def test_pages_that_show_write_nothing(path: str, acme: Character, treasure: Treasure) -> None:
    client = page_client(acme)
    before = all_rows()
    route = Route("POST", path, None, None)
    answer = call(client, route, Wrote("nothing"), treasure)
    assert answer.status_code in {200, 302, 404, 405}
    assert all_rows() == before


@pytest.mark.django_db
def test_a_refused_change_writes_nothing(acme: Character, treasure: Treasure) -> None:
    api = bearer(acme)
    before = all_rows()
    assert api.delete(f"/api/v1/agent/{treasure.ids['agent_id']}").status_code == 400  # it has a conversation
    assert api.post("/api/v1/conversation", {"agent_id": str(treasure.ids["document_id"])}).status_code == 404
    assert all_rows() == before


@pytest.mark.django_db
def test_a_sign_in_in_two_steps_writes_one_row(acme: Character, treasure: Treasure) -> None:
    prepare(Wrote("", prepare=enrolled), acme, treasure)
    client = Client()
    before = all_rows()
    assert client.post("/login", LOGIN).headers["Location"] == "/login/code"
    assert all_rows() == before
    client.post("/login/code", {"otp": str(treasure.ids["otp"])})
    assert [row.event_type for row in all_rows() - before] == ["user.signed_in"]


def test_a_probe_of_a_page_is_told_from_one_of_the_api() -> None:
    assert {route.key for route in PROBED if is_page(route)} == {key for key in WROTE if " /api/" not in key}
