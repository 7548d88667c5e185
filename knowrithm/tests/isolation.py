"""What the isolation walk needs: a company full of canaries, and how to aim every route at it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django.plugin import DjangoDbBlocker

from agents.models import LeadField
from agents.services import create_agent, create_settings
from analytics.usage.models import UsageHour
from conftest import Character, character
from conversations.enums import EntityType, MessageRole, MessageStatus
from conversations.models import (
    CannedReply,
    Citation,
    Conversation,
    Guardrail,
    GuardrailDecision,
    Handover,
    Message,
    PrivateNote,
)
from documents.chunks import replace_chunks
from documents.enums import DocumentStatus
from documents.ingestion.base import Chunk
from documents.models import Crawl, Document, DocumentChunk, IngestionJob, WebsitePage, WebsiteSource
from documents.services import create_dataset
from integrations.models import Webhook, WebhookDelivery
from integrations.notifications.models import Notification, Preference
from knowrithm.db.schema import leave_company
from knowrithm.llm.base import ProviderConfig
from knowrithm.llm.registry import embedder
from leads.models import Lead, LeadEvent, LeadImport, ScoreRules
from tenants.geography.models import Address, City, Country, State
from tenants.models import Company, EmailDomain, ProviderIdentity, RecoveryCode, SingleSignOn, TwoFactor
from tenants.services import create_api_key, create_user, invite_user, set_config, start_session

CANARY = "canary-7f3a91"  # stands in every text of the company that must not leak


@dataclass(frozen=True)
class Treasure:
    """Ids of one company's rows, by the names that routes give them."""

    ids: dict[str, uuid.UUID | int]

    def fill(self, route: str) -> str:
        for name, value in self.ids.items():
            route = route.replace(f"<uuid:{name}>", str(value)).replace(f"<int:{name}>", str(value))
        return route.replace("<path:name>", CANARY)


def bury(owner: Character) -> Treasure:
    """One row of every kind for `owner`, each with the canary in its texts."""
    with tenant_context(owner.company):
        actor = owner.principal
        own = create_settings(actor=actor, choices={"name": CANARY})
        agent = create_agent(actor=actor, name=CANARY, description=CANARY, settings_id=own.id)
        archived = create_agent(actor=actor, name=f"{CANARY} archived")
        document = Document(
            agent=agent, original_filename=f"{CANARY}.txt", document_type="txt", status=DocumentStatus.PROCESSED
        )
        document.file.save("original", ContentFile(CANARY.encode()), save=False)
        document.save()
        model = embedder(ProviderConfig(provider="builtin", model="all-MiniLM-L6-v2"))
        text = f"The secret recipe is {CANARY}."
        chunk = Chunk(0, text, {"type": "lines", "start": 1, "end": 1}, word_count=5)
        replace_chunks(document, [chunk], model.embed_documents([text]), model.name)
        dataset = create_dataset(actor=actor, name=CANARY, description=CANARY, agent_ids=[agent.id])
        Document.objects.create(dataset=dataset, original_filename=f"{CANARY} of the dataset.txt")
        website = WebsiteSource.objects.create(agent=agent, base_url=f"https://{CANARY}.example/", notes=CANARY)
        WebsitePage.objects.create(
            source=website, url=website.base_url, title=CANARY, cause=CANARY, document=document, status="crawled"
        )
        Crawl.objects.create(source=website, status="completed", max_pages=1, error=CANARY)
        job = IngestionJob.objects.create(document=document, status="completed")
        lead_field = LeadField.objects.create(
            name=CANARY, key="canary", kind="choice", options=[CANARY], description=CANARY
        )
        lead = Lead.objects.create(
            agent=agent, first_name=CANARY, last_name=CANARY, email=f"{CANARY}@example.org", notes=CANARY,
            tags=[CANARY], custom_fields={"canary": CANARY},
        )  # fmt: skip
        other_lead = Lead.objects.create(first_name=CANARY, email=f"{CANARY}@example.org")  # a duplicate
        lead_import = LeadImport.objects.create(filename=CANARY, encoding="utf-8", errors=[[1, CANARY]], total=2)
        LeadEvent.objects.create(lead=lead, kind="note", note=CANARY)
        ScoreRules.objects.create(rules={"need.says": {"points": 1, "is_on": True, "words": [CANARY]}})
        conversation = Conversation.objects.create(
            agent=agent, entity_type=EntityType.LEAD, lead=lead, title=CANARY, message_count=2, last_position=2
        )
        question = Message.objects.create(
            conversation=conversation, position=1, role=MessageRole.USER, content=f"{CANARY}?"
        )
        reply = Message.objects.create(
            conversation=conversation, position=2, role=MessageRole.ASSISTANT, content=CANARY, reply_to=question,
            status=MessageStatus.FAILED, error=CANARY,
        )  # fmt: skip
        row = DocumentChunk.objects.get(document=document)
        citation = Citation.objects.create(
            message=reply, number=1, document=document, chunk=row, document_name=CANARY, content=text, quote=CANARY,
            locator=row.locator, score=1, evidence=1, is_cited=True,
        )  # fmt: skip
        guardrail = Guardrail.objects.create(
            name=CANARY, description=CANARY, agent_ids=[agent.id], refusal_text=CANARY,
            link_hosts=[f"{CANARY}.example"], rules=[
                {"name": CANARY, "kind": "words", "action": "refuse", "on": "input", "values": [CANARY], "threshold": 1}
            ],
        )  # fmt: skip
        GuardrailDecision.objects.create(
            guardrail=guardrail, guardrail_name=CANARY, message=reply, stage="input", action="refuse", rule=CANARY,
            kind="words", excerpt=CANARY,
        )  # fmt: skip
        Handover.objects.create(
            conversation=conversation,
            reason="visitor",
            words=CANARY,
            summary=CANARY,
            contact_email=f"{CANARY}@b.example",
        )
        PrivateNote.objects.create(
            conversation=conversation, after_position=2, text=CANARY, author_id=owner.admin.id, author_name=CANARY
        )
        canned = CannedReply.objects.create(shortcut=CANARY, text=CANARY)
        notification = Notification.objects.create(
            user_id=owner.admin.id, kind="lead", key=CANARY, text=CANARY, path=f"/{CANARY}"
        )
        Preference.objects.create(user_id=owner.admin.id, kind="lead", mail=True)
        webhook = Webhook.objects.create(
            name=CANARY, url=f"https://{CANARY}.example/", agent_ids=[agent.id], secret=CANARY, is_active=False
        )
        delivery = WebhookDelivery.objects.create(
            webhook=webhook, event_id=uuid.uuid4(), event_type="lead.created", payload=f'{{"name": "{CANARY}"}}',
            status="failed", error=CANARY, answer=CANARY, is_test=True,
        )  # fmt: skip
    key = create_api_key(actor=owner.principal, name=CANARY)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for status in (200, 500):
        UsageHour.objects.create(
            company=owner.company, api_key=key.row, hour=hour, endpoint=f"/{CANARY}", method="GET", status=status,
            count=1000, total_ms=1, max_ms=1,
        )  # fmt: skip
    session = start_session(user=owner.admin)
    person = create_user(
        actor=owner.principal, email=f"{CANARY}@{owner.company.name.lower()}.example", username=CANARY,
        password="a-long-enough-password", first_name=CANARY, last_name=CANARY,
    )  # fmt: skip
    for name, is_sensitive in ((CANARY, False), (f"{CANARY}-secret", True)):
        entry = set_config(actor=owner.principal, config_key=name, config_value=CANARY, is_sensitive=is_sensitive)
    country = Country.objects.create(company=owner.company, name=CANARY)
    state = State.objects.create(company=owner.company, name=CANARY, country=country)
    city = City.objects.create(company=owner.company, name=CANARY, state=state)
    address = Address.objects.create(company=owner.company, street_address=CANARY, city=city)
    with tenant_context(owner.company):
        invitation = invite_user(actor=owner.principal, email=f"{CANARY}@invited.example")
    TwoFactor.objects.create(user=owner.admin, secret=CANARY)
    RecoveryCode.objects.create(user=owner.admin, code_hash=CANARY)
    sso = SingleSignOn.objects.create(
        company=owner.company, issuer=f"https://{CANARY}.example", client_id=CANARY, client_secret=CANARY
    )
    EmailDomain.objects.create(single_sign_on=sso, domain=f"{CANARY}.{owner.company.name.lower()}.example")
    ProviderIdentity.objects.create(user=owner.admin, single_sign_on=sso, issuer=sso.issuer, subject=CANARY)
    return Treasure(
        {
            "agent_id": agent.id,
            "archived_agent_id": archived.id,
            "settings_id": own.id,
            "document_id": document.id,
            "chunk_id": row.id,
            "dataset_id": dataset.id,
            "source_id": website.id,
            "job_id": job.id,
            "lead_id": lead.id,
            "lead_import_id": lead_import.id,
            "import_id": lead_import.id,
            "other_lead_id": other_lead.id,
            "field_id": lead_field.id,
            "entity_id": lead.id,
            "conversation_id": conversation.id,
            "message_id": reply.id,
            "citation_id": citation.id,
            "guardrail_id": guardrail.id,
            "webhook_id": webhook.id,
            "delivery_id": delivery.id,
            "reply_id": canned.id,
            "notification_id": notification.id,
            "api_key_id": key.row.id,
            "session_id": session.session.id,
            "invitation_id": invitation.id,
            "config_id": entry.id,
            "user_id": person.id,
            "admin_id": owner.admin.id,
            "company_id": owner.company.id,
            "country_id": country.pk,
            "state_id": state.pk,
            "city_id": city.pk,
            "address_id": address.pk,
            "number": 1,
        }
    )


@pytest.fixture(scope="module")
def buried(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Treasure]:
    """acme's treasure, buried once for a module: each of its tests runs in a savepoint beside it."""
    with django_db_blocker.unblock(), transaction.atomic():
        treasure = bury(character("acme"))
        leave_company()
        with django_db_blocker.block():
            yield treasure
        transaction.set_rollback(True)
    with django_db_blocker.unblock():
        leave_company()


@pytest.fixture
def treasure(buried: Treasure, db: None) -> Treasure:
    return Treasure(dict(buried.ids))  # a test may add ids of its own


def fingerprint(owner: Character) -> str:
    """A hash over every row that the company has: its own tables, and its rows in the shared ones."""
    with tenant_context(owner.company):
        return _everything_of(owner.company)()


@cache
def _everything_of(company: Company) -> Digest:
    labels = [label.split(".")[-1] for label in settings.TENANT_APPS]
    own = [model for label in sorted(labels) for model in apps.get_app_config(label).get_models()]
    return Digest.of(
        *(model._base_manager.all() for model in own),
        Company.objects.filter(pk=company.pk),
        company.users.all(),
        company.api_keys.all(),
        company.agent_routes.all(),
        company.invitations.all(),
        company.configuration.all(),
        UsageHour.objects.filter(company=company),
        TwoFactor.objects.filter(user__company=company),
        RecoveryCode.objects.filter(user__company=company),
        SingleSignOn.objects.filter(company=company),
        EmailDomain.objects.filter(single_sign_on__company=company),
        ProviderIdentity.objects.filter(single_sign_on__company=company),
        *(place._base_manager.filter(company=company) for place in (Country, State, City, Address)),
    )


@dataclass(frozen=True)
class Digest:
    """A hash of all columns of all rows, asked for by one statement that is made once: the walks ask thousands of
    times."""

    statement: str
    parameters: list[Any]

    @classmethod
    def of(cls, *sets: QuerySet[Any]) -> Digest:
        parts: list[str] = []
        parameters: list[Any] = []
        for rows in sets:
            table, key = rows.model._meta.db_table, rows.model._meta.pk.column
            chosen, values = rows.order_by().values("pk").query.sql_with_params()
            narrowed = f' WHERE kept."{key}" IN ({chosen})' if " WHERE " in chosen else ""
            parts.append(
                "(SELECT coalesce(md5(string_agg(kept::text, '|' ORDER BY kept::text)), '')"
                f' FROM "{table}" AS kept{narrowed})'
            )
            parameters += values
        return cls(f"SELECT md5(concat_ws('|', {', '.join(parts)}))", parameters)  # our tables' names

    def __call__(self) -> str:
        with connection.cursor() as cursor:
            cursor.execute(self.statement, self.parameters)
            return str(cursor.fetchone()[0])


@dataclass(frozen=True)
class Probe:
    """How to aim a route at another company's rows, and what it must answer.

    `body` may hold `{agent_id}`-like names, which are filled with the other company's ids. `expected` is 404 unless
    the contract says otherwise; 200 is for lists, whose answer must simply hold no canary.
    """

    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    expected: int = 404


def fill(value: Any, treasure: Treasure) -> Any:
    if isinstance(value, dict):
        return {name: fill(inner, treasure) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, treasure) for inner in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return str(treasure.ids[value[1:-1]])
    return value
