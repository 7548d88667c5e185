"""What the walk over the audit log needs: how to call every route that changes something, so that it succeeds."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pyotp
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_tenants.utils import schema_context, tenant_context
from rest_framework.test import APIClient

from agents.catalog.models import Provider, ProviderModel
from agents.models import Agent, LeadField
from conftest import PASSWORD, Character, bearer, page_client
from conversations.models import Conversation, Handover, Message
from documents.enums import DocumentStatus, IndexState
from documents.indexes import hold_or_make_index
from documents.models import Crawl, Dataset, Document, DocumentChunk, SearchIndex, WebsiteSource, owned_by
from knowrithm.routes import Route
from knowrithm.security.hashing import keyed_hash
from knowrithm.tests.isolation import Digest, Treasure, fill, fingerprint
from leads.models import Lead, LeadImport
from leads.services import start_visit
from tenants.audit.models import AuditEvent
from tenants.enums import Letter
from tenants.models import (
    ApiKey,
    Company,
    Invitation,
    ProviderIdentity,
    SingleSignOn,
    SystemConfig,
    TwoFactor,
    User,
    UserSession,
)
from tenants.selectors import password_state_of
from tenants.services import create_company, start_session

Prepare = Callable[[Treasure], object]
PAGE_ROWS = {
    "conversations/messages": "message_id",
    "agents": "agent_id", "models": "settings_id", "documents": "document_id", "datasets": "dataset_id",
    "websites": "source_id", "api-keys": "api_key_id",
    "documents/chunk": "chunk_id", "documents/splitting": "agent_id", "documents/index": "agent_id",
    "account": "session_id", "invitations": "invitation_id", "company": "address_id", "people": "user_id",
    "guardrails": "guardrail_id", "leads": "lead_id", "leads/fields": "field_id", "leads/import": "lead_import_id",
    "webhooks": "webhook_id", "webhooks/delivery": "delivery_id", "inbox": "conversation_id",
    "inbox/replies": "reply_id", "notifications": "notification_id", "configuration": "config_id",
}  # fmt: skip
PUBLIC_PAGES = {"/login", "/signup", "/password/reset", "/invitation", "/verify-email"}
TOKEN = "walk-token"  # of every mailed link here


@dataclass(frozen=True)
class Wrote:
    """How to call a route so that it changes something, and the one event that must be written.

    `body` (JSON, or a page's form) may hold `{agent_id}`-like names of the company's own rows. `log` is "company",
    "platform", or "new": that of a company which is not acme. `prepare` runs in the company's schema and brings about
    what the route needs. `by_root`: a super admin calls it; `by_visitor`: a nameless visitor. `follows` is
    the reason why more is written after the row.
    """

    event: str
    body: Any = None
    log: str = "company"
    prepare: Prepare | None = None
    follows: str = ""
    by_root: bool = False
    by_visitor: bool = False


@dataclass(frozen=True)
class Row:
    schema: str
    id: uuid.UUID
    event_type: str


def all_rows() -> set[Row]:
    """Of every log there is."""
    found: set[Row] = set()
    for schema in ("public", *Company.objects.values_list("schema_name", flat=True)):
        with schema_context(schema):
            found |= {Row(schema, *row) for row in AuditEvent.objects.values_list("id", "event_type")}
    return found


def state_of(who: Character) -> str:
    """A hash over what the routes change: the company's rows, and everybody's in the shared tables."""
    return fingerprint(who) + _shared()()


@cache
def _shared() -> Digest:
    shared = (Company, User, UserSession, ApiKey, Provider, ProviderModel, SystemConfig, ProviderIdentity)
    return Digest.of(*(model._base_manager.all() for model in shared))


def block_logs(who: Character) -> None:
    """From now on nothing can be written to the log of the company, nor to the platform's."""
    with connection.cursor() as cursor:
        for schema in (who.company.schema_name, "public"):
            cursor.execute(f'ALTER TABLE "{schema}".audit_auditevent ADD CONSTRAINT blocked CHECK (false) NOT VALID')


def writes_after_the_row(statements: list[str]) -> list[str]:
    """The INSERTs, UPDATEs and DELETEs after that of the audit log. A browser's session is saved with the answer."""
    marks = [index for index, sql in enumerate(statements) if "INTO audit_auditevent" in sql]
    later = statements[marks[-1] + 1 :] if marks else []
    writes = [sql for sql in later if re.match(r"\s*(INSERT|UPDATE|DELETE|WITH)\b", sql)]
    return [sql for sql in writes if "django_session" not in sql]


# --- What must be there first -------------------------------------------------------------------------------------


def changed(model: Any, name: str, **values: Any) -> Prepare:
    return lambda treasure: model.objects.filter(pk=treasure.ids[name]).update(**values)


def archived(model: Any, name: str) -> Prepare:
    return changed(model, name, archived_at=timezone.now())


archived_document = archived(Document, "document_id")
archived_dataset = archived(Dataset, "dataset_id")
archived_website = archived(WebsiteSource, "source_id")
archived_chunk = archived(DocumentChunk, "chunk_id")
archived_conversation = archived(Conversation, "conversation_id")
archived_lead = archived(Lead, "lead_id")
archived_lead_field = archived(LeadField, "field_id")


def stored_file_of_leads(treasure: Treasure) -> None:
    row = LeadImport.objects.get(pk=str(treasure.ids["import_id"]))
    row.file.save("original", ContentFile(b"email\na@x.example\n"))


def asks_nothing(treasure: Treasure) -> None:
    Agent.objects.filter(pk=str(treasure.ids["agent_id"])).update(widget={"ask": "none"})


archived_message = archived(Message, "message_id")
active_document = changed(Document, "document_id", status=DocumentStatus.PROCESSING)
edited_chunk = changed(DocumentChunk, "chunk_id", original_content="As it was read.")
failed_document = changed(Document, "document_id", status=DocumentStatus.FAILED)


drafted_agent = changed(Agent, "agent_id", draft={"name": "Drafted"})
changed_agent = changed(Agent, "agent_id", description="Changed")


def without_handover(treasure: Treasure) -> None:
    """The agent has the conversation, and nobody is waited for in it."""
    Handover.objects.all().delete()


def waiting_conversation(treasure: Treasure) -> None:
    changed(Conversation, "conversation_id", owner="waiting")(treasure)


def taken_conversation(treasure: Treasure) -> None:
    """By the company's admin."""
    admin = str(treasure.ids["admin_id"])
    changed(Conversation, "conversation_id", owner="person", person_id=admin, person_name="Ada")(treasure)


def second_lead_field(treasure: Treasure) -> None:
    LeadField.objects.create(name="Second", key="second", kind="text", position=1)


def merged_lead(treasure: Treasure) -> None:
    Lead.objects.filter(pk=str(treasure.ids["lead_id"])).update(merged_into=str(treasure.ids["other_lead_id"]))


def other_sizes(treasure: Treasure) -> None:
    """Agent and dataset ask for other chunks than those that answer."""
    _indexes(treasure, IndexState.ANSWERING)
    for model, name in ((Agent, "agent_id"), (Dataset, "dataset_id")):
        changed(model, name, chunk_size=100)(treasure)


def index_in_the_making(treasure: Treasure) -> None:
    _indexes(treasure, IndexState.BUILDING)


def index_before(treasure: Treasure) -> None:
    _indexes(treasure, IndexState.PREVIOUS)


def _indexes(treasure: Treasure, state: IndexState) -> None:
    """One that answers and, if it is another state, one in that state, of the agent and of the dataset."""
    for model, name in ((Agent, "agent_id"), (Dataset, "dataset_id")):
        home = model.objects.get(pk=str(treasure.ids[name]))
        index = hold_or_make_index(home)
        if state != IndexState.ANSWERING:
            other = SearchIndex(**owned_by(home), state=state, state_at=timezone.now())
            other.copy_embedder(home.llm_settings)
            other.save()
        assert index.state == IndexState.ANSWERING


counted_document = changed(Agent, "agent_id", documents_count=1)


def the_question(treasure: Treasure) -> None:
    """In `message_id`, which otherwise is that of its answer."""
    answer = Message.objects.get(pk=str(treasure.ids["message_id"]))
    assert answer.reply_to_id is not None
    treasure.ids["message_id"] = answer.reply_to_id


def running_crawl(treasure: Treasure) -> None:
    Crawl.objects.create(source_id=str(treasure.ids["source_id"]), max_pages=1)


def builtin_model(treasure: Treasure) -> None:
    treasure.ids["model_id"] = ProviderModel.objects.get(name="extractive").pk


def catalogue_rows(treasure: Treasure) -> None:
    model = ProviderModel.objects.get(provider__slug="openai", name="gpt-4o")
    treasure.ids.update(provider_id=model.provider_id, model_id=model.pk)


def builtin_models(treasure: Treasure) -> None:
    builtin_model(treasure)
    treasure.ids["embedding_model_id"] = ProviderModel.objects.get(provider__slug="builtin", kind="embedding").pk


def missing_model(_: Treasure) -> None:
    ProviderModel.objects.filter(name="gpt-3.5-turbo-16k").delete()


locked_person = changed(User, "user_id", locked_until=timezone.now() + timedelta(hours=1))


def person_with_two_factor(treasure: Treasure) -> None:
    TwoFactor.objects.create(user_id=str(treasure.ids["user_id"]), secret="x", confirmed_at=timezone.now())
    User.objects.filter(pk=str(treasure.ids["user_id"])).update(two_factor_enabled=True)


def confirmed_address(treasure: Treasure) -> None:
    User.objects.filter(pk=str(treasure.ids["admin_id"])).update(email_verified=True)


def linked_person(treasure: Treasure) -> None:
    sso = SingleSignOn.objects.get(company_id=str(treasure.ids["company_id"]))
    ProviderIdentity.objects.create(
        user_id=str(treasure.ids["user_id"]), single_sign_on=sso, issuer=sso.issuer, subject="x"
    )


def unused_settings(treasure: Treasure) -> None:
    other = Agent.objects.get(pk=str(treasure.ids["archived_agent_id"]))
    Agent.objects.filter(pk=str(treasure.ids["agent_id"])).update(llm_settings=other.llm_settings)


def unclaimed_company(treasure: Treasure) -> None:
    with schema_context("public"):
        treasure.ids["unclaimed_id"] = create_company(name="Unclaimed", email="unclaimed@example.org").id


def archived_company(treasure: Treasure) -> None:
    Company.objects.filter(pk=str(treasure.ids["company_id"])).update(archived_at=timezone.now())


def begun_two_factor(treasure: Treasure) -> None:
    """A secret to be confirmed, and in `{otp}` the code of now."""
    secret = code = "0"
    while code.startswith("0"):  # ids are numbers
        secret = pyotp.random_base32()
        code = pyotp.TOTP(secret).now()
    TwoFactor.objects.filter(user_id=str(treasure.ids["admin_id"])).update(secret=secret)
    treasure.ids["otp"] = int(code)


def enrolled(treasure: Treasure) -> None:
    begun_two_factor(treasure)
    TwoFactor.objects.filter(user_id=str(treasure.ids["admin_id"])).update(confirmed_at=timezone.now())
    User.objects.filter(pk=str(treasure.ids["admin_id"])).update(two_factor_enabled=True)


def mailed_verification(treasure: Treasure) -> None:
    user = User.objects.get(pk=str(treasure.ids["user_id"]))
    user.email_verifications.create(
        email=user.email, token_hash=keyed_hash(TOKEN, purpose=Letter.VERIFY_EMAIL), expires_at=_tomorrow()
    )


def mailed_reset(treasure: Treasure) -> None:
    user = User.objects.get(pk=str(treasure.ids["user_id"]))
    user.password_resets.create(
        password_state=password_state_of(user), token_hash=keyed_hash(TOKEN, purpose=Letter.RESET_PASSWORD),
        expires_at=_tomorrow(),
    )  # fmt: skip


def mailed_invitation(treasure: Treasure) -> None:
    token_hash = keyed_hash(TOKEN, purpose=Letter.INVITATION)
    Invitation.objects.filter(pk=str(treasure.ids["invitation_id"])).update(token_hash=token_hash)


def _tomorrow() -> datetime:
    return timezone.now() + timedelta(days=1)


# --- Calling ------------------------------------------------------------------------------------------------------


def is_page(route: Route) -> bool:
    return route.action is None


def prepare(probe: Wrote, who: Character, treasure: Treasure) -> None:
    if probe.prepare is not None:
        with tenant_context(who.company):
            probe.prepare(treasure)


def client_for(route: Route, who: Character, probe: Wrote) -> Any:
    """Signed in as the company's admin, unless the route is for a super admin or for people who are not."""
    who.admin.refresh_from_db()  # what was prepared may have changed them
    if probe.by_root:
        return _bearer_of(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))
    if probe.by_visitor:
        return _visitor_of(who)
    if not is_page(route):
        access = route.view.access
        access = access[route.action] if isinstance(access, dict) else access
        return APIClient(raise_request_exception=False) if access.is_public else bearer(who)
    client = Client() if route.path in PUBLIC_PAGES else page_client(who)
    client.raise_request_exception = False
    return client


def _visitor_of(who: Character) -> APIClient:
    with tenant_context(who.company):
        Agent.objects.filter(pk=who.agent.pk).update(widget={"ask": "none"})
        visit = start_visit(agent=Agent.objects.get(pk=who.agent.pk), company_id=who.company.id)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {visit.tokens.access}")
    return client


def _bearer_of(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=user).tokens.access}")
    return client


def call(client: Any, route: Route, probe: Wrote, treasure: Treasure, *, follow: bool = False) -> Any:
    """`follow`: what a page leads to is asked for too."""
    path, body = treasure.fill(route.path), fill(probe.body, treasure)
    if not is_page(route):
        data = "" if body is None else json.dumps(body)
        return client.generic(route.method, path, data=data, content_type="application/json")
    parts = path.split("/")
    row = PAGE_ROWS.get("/".join(parts[1:3])) or PAGE_ROWS.get(parts[1], "conversation_id")
    for kind in ("uuid", "int"):
        path = path.replace(f"<{kind}:pk>", str(treasure.ids[row]))
    if route.method == "GET":
        return client.get(path)
    return client.post(path, body or {}, follow=follow)
