"""Nothing crosses companies: every route and verb, with globex's credentials and acme's ids.

A new route without a probe here fails `test_every_route_is_known`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.test import Client
from django.urls import resolve
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from analytics.api.urls import REPORTS, SNAPSHOTS
from conftest import Character, bearer, key_client
from knowrithm.api.permissions import Access
from knowrithm.routes import Route, all_routes
from knowrithm.tests.isolation import CANARY, Probe, Treasure, fill, fingerprint
from leads.services import register_lead

LIST = Probe(expected=200)
MINE = Probe(expected=200)  # answers about the caller alone
AGENT = {"agent_id": "{agent_id}"}
NAME = {"name": "taken over"}
LEAD = {"first_name": "Mal", "last_name": "Lory", "email": "mallory@example.org"}

PROBES: dict[str, Probe] = {
    # tenants
    "POST /api/v1/auth/logout": MINE,
    "GET /api/v1/auth/two-factor": MINE,
    "POST /api/v1/auth/two-factor": Probe(expected=201),  # of the caller alone, as the next three
    "DELETE /api/v1/auth/two-factor": Probe({"password": "x", "otp": "000000"}, expected=409),
    "POST /api/v1/auth/two-factor/confirm": Probe({"otp": "000000"}, expected=409),
    "POST /api/v1/auth/two-factor/recovery-codes": Probe({"otp": "000000"}, expected=409),
    "GET /api/v1/auth/sessions": MINE,
    "DELETE /api/v1/auth/sessions": MINE,
    "DELETE /api/v1/auth/sessions/<uuid:session_id>": Probe(),
    "POST /api/v1/auth/password": Probe({"current_password": "x", "new_password": "y"}, expected=400),  # the own
    "POST /api/v1/auth/email": Probe({"email": "mallory@example.org", "password": "x"}, expected=400),
    "GET /api/v1/auth/user/me": MINE,
    "GET /api/v1/auth/validate": MINE,
    "GET /api/v1/auth/api-keys": LIST,
    "PATCH /api/v1/auth/api-keys/<uuid:api_key_id>": Probe(NAME),
    "DELETE /api/v1/auth/api-keys/<uuid:api_key_id>": Probe(),
    "POST /api/v1/auth/api-keys/<uuid:api_key_id>/rotate": Probe({"overlap_hours": 1}),
    "GET /api/v1/user/profile": MINE,
    "PUT /api/v1/user/profile": MINE,
    "GET /api/v1/company": MINE,
    "POST /api/v1/auth/user": Probe(
        {
            "email": "mallory@example.org",
            "username": "mallory",
            "password": "a-long-enough-password",
            "first_name": "M",
            "last_name": "M",
            "company_id": "{company_id}",
        }
    ),
    # The answer repeats the filters, so a part of the canary is looked for.
    "GET /api/v1/admin/user": Probe(query={"search": CANARY[:-1], "company_id": "{company_id}"}, expected=200),
    "GET /api/v1/admin/users": LIST,
    "GET /api/v1/users": LIST,
    "GET /api/v1/company/users": LIST,
    "GET /api/v1/auth/users": LIST,
    "GET /api/v1/super-admin/company/<uuid:company_id>/user": Probe(),
    "GET /api/v1/admin/user/<uuid:user_id>": Probe(),
    "GET /api/v1/user/<uuid:user_id>": Probe(),
    "PATCH /api/v1/user/<uuid:user_id>": Probe({"first_name": "taken over"}),
    "DELETE /api/v1/user/<uuid:user_id>": Probe(),
    "POST /api/v1/user/<uuid:user_id>/unlock": Probe(),
    "DELETE /api/v1/user/<uuid:user_id>/two-factor": Probe(),
    "DELETE /api/v1/user/<uuid:user_id>/single-sign-on": Probe(),
    "GET /api/v1/company/two-factor-policy": MINE,
    "PUT /api/v1/company/two-factor-policy": Probe({"is_required": False}, expected=200),  # of the caller's company
    "GET /api/v1/company/single-sign-on": Probe(),
    "PUT /api/v1/company/single-sign-on": Probe(
        {"issuer": "https://login.example", "client_id": "x", "email_domains": ["other.example"]},
        expected=400,
    ),
    "DELETE /api/v1/company/single-sign-on": Probe(),
    "POST /api/v1/company/single-sign-on/test": Probe(expected=401),  # nothing is saved yet
    "GET /api/v1/company/audit-retention": MINE,
    "PUT /api/v1/company/audit-retention": Probe({"days": 90}, expected=200),
    "GET /api/v1/company/document-retention": MINE,
    "PUT /api/v1/company/document-retention": Probe({"version_days": 90, "archive_days": 90}, expected=200),
    "GET /api/v1/company/lead-encryption": MINE,
    "PUT /api/v1/company/lead-encryption": Probe({"is_on": False}, expected=200),
    "PATCH /api/v1/user/<uuid:user_id>/status": Probe({"status": "suspended"}),
    "PATCH /api/v1/user/<uuid:user_id>/role": Probe({"role": "admin"}, expected=403),  # a super admin's alone
    "POST /api/v1/user/<uuid:user_id>/impersonate": Probe({}, expected=403),
    "GET /api/v1/config": LIST,
    "PATCH /api/v1/config": Probe({"config_key": "taken", "config_value": "over", "company_id": "{company_id}"}),
    "DELETE /api/v1/config/<uuid:config_id>": Probe(),
    "GET /api/v1/audit-log": Probe(query={"search": CANARY}, expected=200),
    "GET /api/v1/audit-log/export": Probe(query={"company_id": "{company_id}"}),
    "GET /api/v1/admin/audit-log": Probe(query={"company_id": "{company_id}"}),
    "GET /api/v1/admin/audit-log/export": Probe(query={"company_id": "{company_id}"}),
    # geography
    "PATCH /api/v1/country/<int:country_id>": Probe(NAME),
    "POST /api/v1/state": Probe({**NAME, "country_id": "{country_id}"}),
    "PATCH /api/v1/state/<int:state_id>": Probe(NAME),
    "POST /api/v1/city": Probe({**NAME, "state_id": "{state_id}"}),
    "PATCH /api/v1/city/<int:city_id>": Probe(NAME),
    "GET /api/v1/address": LIST,
    "POST /api/v1/address": Probe(
        {
            "street_address": "taken over",
            "country_id": "{country_id}",
            "state_id": "{state_id}",
            "city_id": "{city_id}",
            "is_primary": True,
        }
    ),
    "GET /api/v1/company/deleted": LIST,
    "DELETE /api/v1/company/bulk-delete": Probe({"company_ids": ["{company_id}"]}),
    "PATCH /api/v1/company/bulk-restore": Probe({"company_ids": ["{company_id}"]}),
    "GET /api/v1/company/<uuid:company_id>": Probe(),
    "PUT /api/v1/company/<uuid:company_id>": Probe(NAME),
    "PATCH /api/v1/company/<uuid:company_id>": Probe(NAME),
    "DELETE /api/v1/company/<uuid:company_id>": Probe(),
    "PATCH /api/v1/company/<uuid:company_id>/restore": Probe(),
    "DELETE /api/v1/company/<uuid:company_id>/cascade-delete": Probe({"delete_related": True}, expected=403),
    "GET /api/v1/super-admin/company": Probe(query={"search": CANARY, "status": "all"}, expected=403),
    "POST /api/v1/user/<uuid:user_id>/force-password-reset": Probe(),
    "GET /api/v1/invitation": LIST,
    "DELETE /api/v1/invitation/<uuid:invitation_id>": Probe(),
    "POST /api/v1/invitation/<uuid:invitation_id>/resend": Probe(),
    # analytics
    "GET /api/v1/analytic/agent/<uuid:agent_id>": Probe(),
    "GET /api/v1/analytic/agent/<uuid:agent_id>/performance-comparison": Probe(),
    "GET /api/v1/analytic/conversation/<uuid:conversation_id>": Probe(),
    # agents
    "GET /api/v1/agent": Probe(query={"search": CANARY, "company_id": "{company_id}"}, expected=200),
    "POST /api/v1/agent": Probe({**NAME, "llm_settings_id": "{settings_id}"}),
    "POST /api/v1/sdk/agent": Probe({**NAME, "llm_settings_id": "{settings_id}", "company_id": "{company_id}"}),
    "PUT /api/v1/agent/<uuid:agent_id>": Probe(NAME),
    "DELETE /api/v1/agent/<uuid:agent_id>": Probe(),
    "PUT /api/v1/sdk/agent/<uuid:agent_id>": Probe(NAME, query={"company_id": "{company_id}"}),
    "DELETE /api/v1/sdk/agent/<uuid:agent_id>": Probe(),
    "GET /api/v1/agent/by-name/<path:name>": Probe(query={"company_id": "{company_id}"}),
    "PATCH /api/v1/agent/<uuid:agent_id>/restore": Probe(),
    "POST /api/v1/agent/<uuid:agent_id>/clone": Probe(),
    "GET /api/v1/agent/<uuid:agent_id>/embed-code": Probe(),
    "GET /api/v1/agent/<uuid:agent_id>/stats": Probe(),
    "POST /api/v1/agent/<uuid:agent_id>/test": Probe({"query": f"secret recipe {CANARY}"}),
    "GET /api/v1/agent/<uuid:agent_id>/versions": Probe(),
    "GET /api/v1/agent/<uuid:agent_id>/versions/compare": Probe(query={"from": "1", "to": "2"}),
    "GET /api/v1/agent/<uuid:agent_id>/versions/<int:number>": Probe(),
    "POST /api/v1/agent/<uuid:agent_id>/versions/<int:number>/rollback": Probe(),
    "POST /api/v1/agent/<uuid:agent_id>/publish": Probe(),
    "DELETE /api/v1/agent/<uuid:agent_id>/draft": Probe(),
    "POST /api/v1/settings": Probe(AGENT),
    "POST /api/v1/sdk/settings": Probe(AGENT),
    "GET /api/v1/settings/company/<uuid:company_id>": Probe(),
    "GET /api/v1/settings/agent/<uuid:agent_id>": Probe(),
    "GET /api/v1/settings/<uuid:settings_id>": Probe(),
    "PUT /api/v1/settings/<uuid:settings_id>": Probe({"name": "taken over"}),
    "DELETE /api/v1/settings/<uuid:settings_id>": Probe(),
    "POST /api/v1/settings/test/<uuid:settings_id>": Probe({"llm_max_tokens": 5}),
    "POST /api/v1/settings/test": Probe({"fallback_models": ["{settings_id}"]}, expected=400),
    # documents
    "GET /api/v1/document": Probe(query={**AGENT, "search": CANARY}, expected=200),
    "POST /api/v1/document/upload": Probe({**AGENT, "url": "https://example.org/"}),
    "GET /api/v1/document/deleted": LIST,
    "DELETE /api/v1/document/bulk-delete": Probe({"document_ids": ["{document_id}"]}),
    "GET /api/v1/document/agent/<uuid:agent_id>": Probe(),
    "GET /api/v1/document/chunk/deleted": LIST,
    "DELETE /api/v1/document/chunk/<uuid:chunk_id>": Probe(),
    "PATCH /api/v1/document/chunk/<uuid:chunk_id>/restore": Probe(),
    "PATCH /api/v1/document/chunk/<uuid:chunk_id>": Probe({"content": "taken over"}),
    "POST /api/v1/document/chunk/<uuid:chunk_id>/undo": Probe(),
    "GET /api/v1/agent/<uuid:agent_id>/index": Probe(),
    "POST /api/v1/agent/<uuid:agent_id>/index/build": Probe(),
    "POST /api/v1/agent/<uuid:agent_id>/index/cancel": Probe(),
    "POST /api/v1/agent/<uuid:agent_id>/index/rollback": Probe(),
    "GET /api/v1/dataset/<uuid:dataset_id>/index": Probe(),
    "POST /api/v1/dataset/<uuid:dataset_id>/index/build": Probe(),
    "POST /api/v1/dataset/<uuid:dataset_id>/index/cancel": Probe(),
    "POST /api/v1/dataset/<uuid:dataset_id>/index/rollback": Probe(),
    "GET /api/v1/agent/<uuid:agent_id>/reranker": Probe(),
    "PUT /api/v1/agent/<uuid:agent_id>/reranker": Probe(
        {"provider": "vllm", "model": "m", "base_url": "https://rerank.example.org", "passages": 20}
    ),
    "DELETE /api/v1/agent/<uuid:agent_id>/reranker": Probe(),
    "GET /api/v1/agent/<uuid:agent_id>/chunking": Probe(),
    "PUT /api/v1/agent/<uuid:agent_id>/chunking": Probe({"chunk_size": 50, "chunk_overlap": 5}),
    "GET /api/v1/dataset/<uuid:dataset_id>/chunking": Probe(),
    "PUT /api/v1/dataset/<uuid:dataset_id>/chunking": Probe({"chunk_size": 50, "chunk_overlap": 5}),
    "GET /api/v1/document/<uuid:document_id>": Probe(),
    "PATCH /api/v1/document/<uuid:document_id>": Probe({"title": "taken over", "tags": ["taken"]}),
    "DELETE /api/v1/document/<uuid:document_id>": Probe(),
    "GET /api/v1/document/<uuid:document_id>/download": Probe(),
    "GET /api/v1/document/<uuid:document_id>/download-link": Probe(),
    "POST /api/v1/document/<uuid:document_id>/replace": Probe({"url": "https://example.org/"}),
    "GET /api/v1/document/<uuid:document_id>/versions": Probe(),
    "POST /api/v1/document/preview": Probe({**AGENT, "text": "Nothing is stored."}),
    "PATCH /api/v1/document/<uuid:document_id>/restore": Probe(),
    "POST /api/v1/document/<uuid:document_id>/retry": Probe(),
    "POST /api/v1/document/<uuid:document_id>/cancel": Probe(),
    "DELETE /api/v1/document/<uuid:document_id>/chunk": Probe(),
    "PATCH /api/v1/document/<uuid:document_id>/chunk/restore-all": Probe(),
    "GET /api/v1/dataset": Probe(query={"search": CANARY}, expected=200),
    "POST /api/v1/dataset": Probe({"name": "New", "agent_ids": ["{agent_id}"]}),
    "GET /api/v1/dataset/deleted": LIST,
    "GET /api/v1/dataset/<uuid:dataset_id>": Probe(),
    "PUT /api/v1/dataset/<uuid:dataset_id>": Probe({"name": "Taken"}),
    "PATCH /api/v1/dataset/<uuid:dataset_id>": Probe({"agent_ids": []}),
    "DELETE /api/v1/dataset/<uuid:dataset_id>": Probe(),
    "PATCH /api/v1/dataset/<uuid:dataset_id>/restore": Probe(),
    "POST /api/v1/search/trial": Probe({**AGENT, "query": f"secret recipe {CANARY}"}),
    "GET /api/v1/website/source": Probe(query={**AGENT, "search": CANARY}, expected=200),
    "POST /api/v1/website/source": Probe({**AGENT, "base_url": "https://example.org/"}),
    "GET /api/v1/website/source/deleted": LIST,
    "PUT /api/v1/website/source/<uuid:source_id>": Probe({"notes": "taken over"}),
    "DELETE /api/v1/website/source/<uuid:source_id>": Probe(),
    "PATCH /api/v1/website/source/<uuid:source_id>/restore": Probe(),
    "POST /api/v1/website/source/<uuid:source_id>/crawl": Probe(),
    "POST /api/v1/website/source/<uuid:source_id>/crawl/cancel": Probe(),
    "GET /api/v1/website/source/<uuid:source_id>/pages": Probe(),
    "GET /api/v1/website/agent/<uuid:agent_id>/sources": Probe(),
    "GET /api/v1/website/<uuid:source_id>": Probe(),
    "DELETE /api/v1/sdk/website/source/<uuid:source_id>": Probe(),
    "POST /api/v1/sdk/website/source/<uuid:source_id>/crawl": Probe({"max_pages": 1}),
    "POST /api/v1/search/document": Probe({**AGENT, "query": f"secret recipe {CANARY}"}),
    # leads
    "GET /api/v1/lead/company": Probe(query={**AGENT, "search": CANARY}, expected=200),
    "GET /api/v1/lead/deleted": LIST,
    "POST /api/v1/lead": Probe({**LEAD, **AGENT}),
    "POST /api/v1/sdk/lead": Probe({**LEAD, **AGENT, "company_id": "{company_id}"}),
    "GET /api/v1/lead/<uuid:lead_id>": Probe(),
    "PUT /api/v1/lead/<uuid:lead_id>": Probe({"status": "lost"}),
    "DELETE /api/v1/lead/<uuid:lead_id>": Probe(),
    "PUT /api/v1/sdk/lead/<uuid:lead_id>": Probe({"status": "lost"}),
    "DELETE /api/v1/sdk/lead/<uuid:lead_id>": Probe(),
    "PATCH /api/v1/lead/<uuid:lead_id>/restore": Probe(),
    "GET /api/v1/lead/<uuid:lead_id>/timeline": Probe(),
    "GET /api/v1/lead/<uuid:lead_id>/consents": Probe(),
    "GET /api/v1/lead/<uuid:lead_id>/score": Probe(),
    "GET /api/v1/lead/duplicates": LIST,
    "POST /api/v1/lead/<uuid:lead_id>/merge": Probe({"lead_ids": ["{lead_id}"]}),
    "POST /api/v1/lead/<uuid:lead_id>/unmerge": Probe(),
    "GET /api/v1/lead/import/<uuid:import_id>": Probe(),
    "PATCH /api/v1/lead/import/<uuid:import_id>": Probe({"encoding": "utf-8"}),
    "POST /api/v1/lead/import/<uuid:import_id>/start": Probe(),
    "GET /api/v1/lead/import/<uuid:import_id>/refused": Probe(),
    "GET /api/v1/lead/field": LIST,
    "PUT /api/v1/lead/field/order": Probe({"field_ids": ["{field_id}"]}),
    "GET /api/v1/lead/field/<uuid:field_id>": Probe(),
    "PUT /api/v1/lead/field/<uuid:field_id>": Probe({"name": "taken over"}),
    "DELETE /api/v1/lead/field/<uuid:field_id>": Probe(),
    "PATCH /api/v1/lead/field/<uuid:field_id>/restore": Probe(),
    "GET /api/v1/lead/score-rules": LIST,
    "PUT /api/v1/lead/score-rules": Probe({"rules": {"need.says": {"is_on": False}}}, expected=200),
    "DELETE /api/v1/lead/score-rules": Probe(expected=200),
    "POST /api/v1/lead/score-rules/preview": Probe({"rules": {"need.says": {"points": 25}}}, expected=200),
    "POST /api/v1/lead/<uuid:lead_id>/note": Probe({"note": "taken over"}),
    # conversations
    "GET /api/v1/conversation": Probe(query={**AGENT, "search": CANARY}, expected=200),
    "POST /api/v1/conversation": Probe(AGENT),
    "GET /api/v1/conversation/deleted": LIST,
    "GET /api/v1/conversation/entity": LIST,
    "GET /api/v1/conversation/entity/<uuid:entity_id>": LIST,
    "GET /api/v1/conversation/agent/<uuid:agent_id>": Probe(),
    "POST /api/v1/conversation/agent/<uuid:agent_id>/close": Probe(),
    "PATCH /api/v1/conversation/<uuid:conversation_id>": Probe({"title": "mine"}),
    "DELETE /api/v1/conversation/<uuid:conversation_id>/messages": Probe(),
    "PATCH /api/v1/conversation/<uuid:conversation_id>/message/restore-all": Probe(),
    "GET /api/v1/message/deleted": LIST,
    "PATCH /api/v1/message/<uuid:message_id>": Probe({"message": "hello"}),
    "DELETE /api/v1/message/<uuid:message_id>": Probe(),
    "PATCH /api/v1/message/<uuid:message_id>/restore": Probe(),
    "POST /api/v1/message/<uuid:message_id>/regenerate": Probe(),
    "POST /api/v1/message/<uuid:message_id>/stop": Probe(),
    "POST /api/v1/message/<uuid:message_id>/feedback": Probe({"rating": 1}),
    "GET /api/v1/message/<uuid:message_id>/replay": Probe(),
    "POST /api/v1/message/<uuid:message_id>/replay": Probe({"inputs": "now"}),
    "DELETE /api/v1/conversation/<uuid:conversation_id>": Probe(),
    "PATCH /api/v1/conversation/<uuid:conversation_id>/restore": Probe(),
    "GET /api/v1/conversation/<uuid:conversation_id>/messages": Probe(),
    "GET /api/v1/conversation/<uuid:conversation_id>/messages/stream": Probe(),
    "POST /api/v1/conversation/<uuid:conversation_id>/chat": Probe({"message": "hello"}),
    "POST /api/v1/chat": Probe({"bot_id": "{agent_id}", "messages": [{"role": "user", "content": "hello"}]}),
    # integrations
    "GET /api/v1/webhook": LIST,
    "POST /api/v1/webhook": Probe({"name": "New", "url": "https://8.8.8.8/", "agent_ids": ["{agent_id}"]}),
    "GET /api/v1/webhook/events": MINE,
    "GET /api/v1/webhook/<uuid:webhook_id>": Probe(),
    "PUT /api/v1/webhook/<uuid:webhook_id>": Probe(NAME),
    "PATCH /api/v1/webhook/<uuid:webhook_id>": Probe({"is_active": False}),
    "DELETE /api/v1/webhook/<uuid:webhook_id>": Probe(),
    "POST /api/v1/webhook/<uuid:webhook_id>/rotate": Probe({"overlap_hours": 1}),
    "POST /api/v1/webhook/<uuid:webhook_id>/test": Probe(),
    "GET /api/v1/webhook/<uuid:webhook_id>/deliveries": Probe(),
    "GET /api/v1/webhook/delivery/<uuid:delivery_id>": Probe(),
    "POST /api/v1/webhook/delivery/<uuid:delivery_id>/resend": Probe(),
    # conversations
    "GET /api/v1/guardrail": LIST,
    "POST /api/v1/guardrail": Probe({"name": "New", "agent_ids": ["{agent_id}"]}),
    "GET /api/v1/guardrail/decisions": Probe(
        query={"search": CANARY, "guardrail_id": "{guardrail_id}", "agent_id": "{agent_id}"}, expected=200
    ),
    "GET /api/v1/guardrail/<uuid:guardrail_id>": Probe(),
    "PUT /api/v1/guardrail/<uuid:guardrail_id>": Probe(NAME),
    "PATCH /api/v1/guardrail/<uuid:guardrail_id>": Probe({"is_active": False}),
    "DELETE /api/v1/guardrail/<uuid:guardrail_id>": Probe(),
    "POST /api/v1/guardrail/<uuid:guardrail_id>/try": Probe({"text": CANARY}),
    "GET /api/v1/conversation/<uuid:conversation_id>/handover": Probe(),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover": Probe({"message": CANARY}),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/address": Probe({"email": "mallory@example.org"}),
    "GET /api/v1/conversation/<uuid:conversation_id>/handover/history": Probe(),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/take": Probe(),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/assign": Probe({"user_id": "{admin_id}"}),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/message": Probe({"message": "hello"}),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/back": Probe({}),
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/close": Probe(),
    "GET /api/v1/conversation/<uuid:conversation_id>/notes": Probe(),
    "POST /api/v1/conversation/<uuid:conversation_id>/notes": Probe({"message": "hello"}),
    "POST /api/v1/conversation/<uuid:conversation_id>/read": Probe(),
    "POST /api/v1/conversation/<uuid:conversation_id>/typing": Probe({"is_typing": True}),
    "GET /api/v1/inbox": Probe(query={"show": "all"}, expected=200),
    "GET /api/v1/inbox/stream": Probe(expected=503),  # served beside Django
    "GET /api/v1/inbox/presence": LIST,
    "POST /api/v1/inbox/presence": Probe({"is_away": False}, expected=200),
    "GET /api/v1/canned-reply": LIST,
    "PUT /api/v1/canned-reply/<uuid:reply_id>": Probe({"shortcut": "taken", "text": "over"}),
    "PATCH /api/v1/canned-reply/<uuid:reply_id>": Probe({"text": "taken over"}),
    "DELETE /api/v1/canned-reply/<uuid:reply_id>": Probe(),
    # notifications
    "GET /api/v1/notification": LIST,
    "POST /api/v1/notification/read": MINE,
    "POST /api/v1/notification/<uuid:notification_id>/read": Probe(),
    "GET /api/v1/notification/preferences": MINE,
    "PUT /api/v1/notification/preferences": Probe(
        {"preferences": [{"kind": "lead", "in_app": False, "mail": False}]}, expected=200
    ),
    # API usage
    "GET /api/v1/overview": LIST,
    "GET /api/v1/usage-trends": LIST,
    "GET /api/v1/top-endpoints": LIST,
    "GET /api/v1/api-key-performance": LIST,
    "GET /api/v1/error-analysis": LIST,
    "GET /api/v1/rate-limit-analysis": LIST,
    "GET /api/v1/detailed-usage/<uuid:api_key_id>": Probe(),
    # analytics
    "GET /api/v1/company/statistics": Probe(query={"company_id": "{company_id}"}),
    "GET /api/v1/company/<uuid:company_id>/statistics": Probe(),
    "POST /api/v1/system-metric": Probe(query={"company_id": "{company_id}"}),
    **dict.fromkeys(
        (f"GET /api/v1/{name}" for name in ("admin/system-metric", "admin/metrics", "system/metrics", "metrics")),
        Probe(query={"company_id": "{company_id}"}),
    ),
    **{
        key: Probe(body, query={"company_id": "{company_id}"}, expected=403)  # for super admins alone
        for key, body in {
            "GET /api/v1/company/<uuid:company_id>/related-data": None,
            "GET /api/v1/super-admin/company/<uuid:company_id>/system-metric": None,
            "GET /api/v1/super-admin/users": None,
            "PATCH /api/v1/super-admin/users/<uuid:user_id>": {"first_name": "taken over"},
            "DELETE /api/v1/super-admin/users/<uuid:user_id>": None,
            "GET /api/v1/super-admin/companies": None,
            "POST /api/v1/super-admin/companies": NAME,
            "GET /api/v1/super-admin/companies/<uuid:company_id>": None,
            "PATCH /api/v1/super-admin/companies/<uuid:company_id>": NAME,
            "GET /api/v1/super-admin/companies/<uuid:company_id>/agents": None,
            "GET /api/v1/super-admin/companies/<uuid:company_id>/users": None,
            "POST /api/v1/super-admin/companies/<uuid:company_id>/users": {"email": "eve@evil.example"},
            "GET /api/v1/super-admin/companies/<uuid:company_id>/documents": None,
            "GET /api/v1/super-admin/companies/<uuid:company_id>/analytics": None,
            "PATCH /api/v1/super-admin/agents/<uuid:agent_id>": NAME,
            "DELETE /api/v1/super-admin/documents/<uuid:document_id>": None,
            "GET /api/v1/super-admin/activity": None,
            **{f"GET /api/v1/super-admin/metrics/{name}": None for name in SNAPSHOTS},
            **{f"GET /api/v1/super-admin/analytics/{name}": None for name in REPORTS},
        }.items()
    },
}

PLACES = "public by contract; what a company has added shows to itself alone: tested below"

CATALOGUE = "the catalogue is shared, and super admins alone change it: tested in agents/catalog"

NO_COMPANY = {
    "GET /health": "says nothing of any company",
    "GET /api/health": "says nothing of any company",
    "GET /api/v1/health": "says nothing of any company",
    "GET /widget.js": "the same file for everybody",
    "GET /api/widget.js": "the same file for everybody",
    "GET /api/v1/widget.js": "the same file for everybody",
    "GET /api/v1/widget/<slug:language>.json": "the same file for everybody",
    "POST /test": "echoes its own body",
    "POST /api/test": "echoes its own body",
    "POST /api/v1/test": "echoes its own body",
    "GET /api/v1/agent/<uuid:agent_id>": "public by contract; shows what a visitor may see",
    "GET /api/v1/tasks/<uuid:task_id>/status": "the id is the capability; tested in test_tasks",
    "POST /api/v1/website/handshake": "public by contract; shows a visitor the agent's own website",
    "GET /api/v1/document/file/<str:token>": "the signed link is the capability; tested in test_downloads",
    "POST /api/v1/lead/register": "public by contract; makes a lead of the agent's own company",
    "POST /api/v1/lead/import": "takes a file; a foreign agent's id is tried in leads/tests/test_import_api.py",
    "POST /api/v1/lead/field": "makes a field of the caller's own company",
    "POST /api/v1/lead/visitor": "public; makes a visitor of the agent's own company, or renews their own token",
    "PATCH /api/v1/lead/visitor": "concerns the visitor whose token it is: tested in leads/tests",
    "POST /api/v1/auth/register": "makes a company",
    "POST /api/v1/auth/login": "takes a password",
    "POST /api/v1/auth/refresh": "takes a token of its own session",
    "POST /api/v1/auth/password/forgot": "says the same whether there is such an account or not",
    "POST /api/v1/auth/password/reset": "takes a token of its own link",
    "POST /api/v1/send": "says the same whether there is such an account or not",
    "POST /api/v1/verify": "takes a token of its own link",
    "POST /api/v1/invitation": "makes an invitation to the caller's own company",
    "POST /api/v1/invitation/accept": "takes a token of its own link",
    "POST /api/v1/auth/user": "makes a user of the caller's own company",
    "POST /api/v1/auth/api-keys": "makes a key of the caller's own company",
    "POST /api/v1/canned-reply": "makes a reply of the caller's own company",
    "POST /api/v1/company": "makes a company",
    "GET /api/v1/address-seed": "adds what ISO 3166 has",
    "POST /api/v1/country": "makes a country of the caller's own company",
    "GET /api/v1/country": PLACES,
    "GET /api/v1/country/<int:country_id>": PLACES,
    "GET /api/v1/state/country/<int:country_id>": PLACES,
    "GET /api/v1/state/<int:state_id>": PLACES,
    "GET /api/v1/city/state/<int:state_id>": PLACES,
    "GET /api/v1/city/<int:city_id>": PLACES,
    "GET /api/v1/settings/providers": "the catalogue is shared",
    "POST /api/v1/settings/providers/seed": "the catalogue is shared",
    "GET /api/v1/providers": "the catalogue is shared",
    "GET /api/v1/providers/<uuid:provider_id>": "the catalogue is shared",
    "GET /api/v1/providers/<uuid:provider_id>/models": "the catalogue is shared",
    "GET /api/v1/providers/<uuid:provider_id>/models/<uuid:model_id>": "the catalogue is shared",
    "POST /api/v1/providers": CATALOGUE,
    "POST /api/v1/providers/bulk-import": CATALOGUE,
    "PUT /api/v1/providers/<uuid:provider_id>": CATALOGUE,
    "DELETE /api/v1/providers/<uuid:provider_id>": CATALOGUE,
    "POST /api/v1/providers/<uuid:provider_id>/models": CATALOGUE,
    "PUT /api/v1/providers/<uuid:provider_id>/models/<uuid:model_id>": CATALOGUE,
    "DELETE /api/v1/providers/<uuid:provider_id>/models/<uuid:model_id>": CATALOGUE,
}

API_ROUTES = [route for route in all_routes() if not route.is_page]


def test_every_route_is_known() -> None:
    keys = {route.key for route in API_ROUTES}
    assert keys - set(PROBES) - set(NO_COMPANY) == set(), "these routes have no isolation probe"
    assert (set(PROBES) | set(NO_COMPANY)) - keys == set(), "these probes have no route"


def test_every_route_and_page_declares_its_access() -> None:
    """`route.access` raises where a view has declared none."""
    assert [route.key for route in all_routes() if not isinstance(route.access, Access)] == []


def attack(client: APIClient, route: Route, probe: Probe, treasure: Treasure, *, shows: bool = False) -> None:
    path = treasure.fill(route.path)
    query = fill(probe.query, treasure)
    if query:
        path += "?" + "&".join(f"{name}={value}" for name, value in query.items())
    answer = client.generic(
        route.method,
        path,
        data=_json(fill(probe.body, treasure)),
        content_type="application/json",
    )
    assert answer.status_code == probe.expected, (route.key, answer.status_code, answer.content[:300])
    assert (CANARY.encode() in answer.content.replace(path.encode(), b"")) == shows, route.key


def _json(body: object) -> str:
    return json.dumps(body) if body is not None else ""


PROBED = [route for route in API_ROUTES if route.key in PROBES]
PREFIXES = ("/api/v1/", "/v1/", "/api/api/v1/")
LEAD_ROUTES = {
    "POST /api/v1/conversation",
    "GET /api/v1/conversation/<uuid:conversation_id>/messages",
    "GET /api/v1/conversation/<uuid:conversation_id>/messages/stream",
    "POST /api/v1/conversation/<uuid:conversation_id>/chat",
    "PATCH /api/v1/message/<uuid:message_id>",
    "POST /api/v1/message/<uuid:message_id>/regenerate",
    "POST /api/v1/message/<uuid:message_id>/stop",
    "POST /api/v1/message/<uuid:message_id>/feedback",
    "GET /api/v1/conversation/<uuid:conversation_id>/handover",
    "POST /api/v1/conversation/<uuid:conversation_id>/handover",
    "POST /api/v1/conversation/<uuid:conversation_id>/handover/address",
    "POST /api/v1/conversation/<uuid:conversation_id>/typing",
}


def test_every_prefix_leads_to_the_same_views() -> None:
    routes = [route.path for route in API_ROUTES if route.path.startswith(PREFIXES[0])]
    assert len(routes) > 200
    for path in routes:
        filled = path.replace("<path:name>", CANARY)
        filled = re.sub(r"<int:\w+>", "1", re.sub(r"<uuid:\w+>", str(uuid.UUID(int=0)), filled))
        views = [resolve(filled.replace(PREFIXES[0], prefix, 1)).func for prefix in PREFIXES]
        assert views == [views[0]] * len(PREFIXES), path


PERSONS_OWN = (
    "/auth/api-keys", "/auth/two-factor", "/auth/sessions", "/auth/password", "/auth/email",
    "/company/two-factor-policy", "/company/single-sign-on", "/company/audit-retention",
    "/company/document-retention",
)  # fmt: skip


def lead_client(where: Character) -> APIClient:
    with tenant_context(where.company):
        registered = register_lead(
            agent=where.agent, company_id=where.company.id, email="eve@example.org", first_name="Eve", last_name="E"
        )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {registered.tokens.access}")
    return client


def strangers(route: Route, acme: Character, globex: Character) -> Iterator[tuple[APIClient, Probe]]:
    """Everybody who must find nothing of acme's, with what the route answers to them."""
    probe = PROBES[route.key]
    yield bearer(globex), probe
    key = key_client(globex, "read", "write", "update", "delete", "admin", "full_access")
    persons_own = any(part in route.path for part in PERSONS_OWN)
    persons_own = persons_own or "/notification" in route.path or route.path == "/api/v1/inbox/stream"
    is_persons_own = persons_own or route.key in {"POST /api/v1/auth/logout", "POST /api/v1/inbox/presence"}
    yield key, Probe(expected=403) if is_persons_own else probe  # keys manage neither keys nor a person's sign-in
    yield APIClient(), Probe(probe.body, expected=401)
    expected = 404 if route.key in LEAD_ROUTES else 403
    # A lead of another company, and one of the same company who talks with another agent.
    for home in (globex, acme):
        yield lead_client(home), Probe(probe.body, probe.query, expected)


@pytest.mark.parametrize("route", PROBED, ids=[route.key for route in PROBED])
def test_strangers_find_nothing_and_change_nothing(
    route: Route, acme: Character, globex: Character, treasure: Treasure
) -> None:
    everybody = list(strangers(route, acme, globex))  # acme's lead is a row of acme's
    before = fingerprint(acme)
    for place, (client, probe) in enumerate(everybody):
        # The first by every address; the others by one each, for all lead to the same views.
        prefixes = PREFIXES if place == 0 else [PREFIXES[place % len(PREFIXES)]]
        for prefix in prefixes if probe.expected >= 400 else PREFIXES[:1]:
            attack(client, replace(route, path=route.path.replace(PREFIXES[0], prefix, 1)), probe, treasure)
    assert fingerprint(acme) == before


PLACE_ROUTES = [route for route in API_ROUTES if NO_COMPANY.get(route.key) == PLACES]


@pytest.mark.parametrize("route", PLACE_ROUTES, ids=[route.key for route in PLACE_ROUTES])
def test_what_a_company_adds_to_the_places_shows_to_itself_alone(
    route: Route, acme_api: APIClient, globex_api: APIClient, treasure: Treasure
) -> None:
    attack(acme_api, route, Probe(expected=200), treasure, shows=True)
    expected = 404 if "<" in route.path else 200
    for stranger in (globex_api, APIClient()):
        attack(stranger, route, Probe(expected=expected), treasure)


PAGES = [route for route in all_routes() if route not in API_ROUTES]


def page_ids(route: Route) -> str:
    """Which of the owner's rows a page's `pk` names."""
    first = route.path.strip("/").split("/")[0]
    kinds = {
        "agents": "agent_id",
        "models": "settings_id",
        "documents": "document_id",
        "datasets": "dataset_id",
        "websites": "source_id",
        "api-keys": "api_key_id",
        "account": "session_id",
        "invitations": "invitation_id",
        "conversations": "conversation_id",
        "people": "user_id",
        "company": "address_id",
        "guardrails": "guardrail_id",
        "leads": "lead_id",
        "webhooks": "webhook_id",
        "inbox": "conversation_id",
        "notifications": "notification_id",
        "configuration": "config_id",
    }
    special = {
        "inbox/replies": "reply_id",
        "conversations/passage": "citation_id", "conversations/messages": "message_id",
        "leads/import": "lead_import_id", "leads/fields": "field_id", "webhooks/delivery": "delivery_id",
    }  # fmt: skip
    return next((row for part, row in special.items() if part in route.path), kinds[first])


# A logo is public; its address holds the picture's digest.
ROW_PAGES = [route for route in PAGES if "<" in route.path and not route.path.startswith("/company-logo/")]


@pytest.mark.parametrize("route", ROW_PAGES, ids=[route.key for route in ROW_PAGES])
def test_no_page_shows_or_changes_a_foreign_row(
    route: Route, acme: Character, globex_client: Client, treasure: Treasure
) -> None:
    before = fingerprint(acme)
    path = route.path.split("<")[0] + str(treasure.ids[page_ids(route)]) + route.path.split(">")[1]

    for method in ("GET", "POST"):
        answer = globex_client.generic(method, path)
        assert answer.status_code in {404, 405}, (path, answer.status_code)
        assert CANARY.encode() not in answer.content

    assert fingerprint(acme) == before


LIST_PAGES = [route for route in PAGES if "<" not in route.path]


@pytest.mark.parametrize("route", LIST_PAGES, ids=[route.key for route in LIST_PAGES])
def test_no_list_page_shows_a_foreign_row(route: Route, globex_client: Client, treasure: Treasure) -> None:
    answer = globex_client.get(route.path, {"q": CANARY, "home": str(treasure.ids["agent_id"])})
    assert answer.status_code < 500
    text = answer.getvalue().decode()  # a download streams, and has no `content`
    assert f"{CANARY}." not in text.replace(f'value="{CANARY}"', "")
    assert str(treasure.ids["document_id"]) not in text
