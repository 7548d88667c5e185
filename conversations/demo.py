"""The demo company of a new installation: an agent that has read this product's own documentation."""

from __future__ import annotations

import secrets
import uuid

import structlog
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django_tenants.utils import tenant_context

from agents.models import Agent
from agents.services import create_agent
from documents.services import upload
from tenants.exceptions import AlreadyRegisteredError
from tenants.models import Company
from tenants.services import create_company, principal_of, register_first_admin

log = structlog.get_logger(__name__)

# Known by its id: anybody may register an address.
DEMO_ID = uuid.uuid5(uuid.NAMESPACE_DNS, "demo.knowrithm.local")
EMAIL = "demo@knowrithm.local"
# Not the index and the README: links and lists that would be quoted instead of the pages behind them.
SOURCES = ("docs/[!i]*.md", "CHANGELOG.md")


def demo_company() -> Company | None:
    company: Company | None = Company.objects.live().filter(pk=DEMO_ID, is_active=True).first()
    return company


def demo_agent() -> tuple[Company, Agent] | None:
    """The demo's company and agent, if this installation has them."""
    company = demo_company()
    if company is None:
        return None
    with tenant_context(company):
        agent = Agent.objects.live().with_settings().order_by("created_at").first()
    return (company, agent) if agent else None


@transaction.atomic
def create_demo() -> None:
    """Make the demo company once. Nobody can sign in to it: its password is thrown away.

    Where somebody has taken its address, the installation has no demo; that must not keep it from starting.
    """
    if Company.objects.filter(pk=DEMO_ID).exists():
        return
    try:
        company = create_company(id=DEMO_ID, name="Knowrithm demo", email=EMAIL)
    except AlreadyRegisteredError:
        log.warning("no_demo", reason=f"A company with the address {EMAIL} exists already.")
        return
    user = register_first_admin(
        company_id=company.id,
        email=EMAIL,
        username="demo",
        password=secrets.token_urlsafe(32),
        first_name="Demo",
        last_name="Company",
        email_verified=True,  # nobody reads mail there
    )
    assert user.company is not None  # noqa: S101  # it has just been made
    with tenant_context(user.company):
        actor = principal_of(user)
        agent = create_agent(
            actor=actor,
            name="Knowrithm guide",
            description="Answers questions about this installation of Knowrithm from its own documentation.",
            welcome_text="Hello! Ask me anything about Knowrithm. I answer from its documentation.",
            starter_questions=[
                "Which file types can I upload?",
                "How do I put an agent on my website?",
                "Which environment variables configure the database?",
            ],
        )
        files = [path for pattern in SOURCES for path in sorted(settings.BASE_DIR.glob(pattern))]
        upload(actor=actor, home=agent, files=[SimpleUploadedFile(path.name, path.read_bytes()) for path in files])
