"""Django admin: super admins read when people were wanted, and nothing that was said."""

from __future__ import annotations

from django.urls import reverse
from django_tenants.utils import tenant_context

from conftest import PASSWORD, Character, page_client, super_admin_in_browser
from conversations.services import request_handover, take_conversation
from conversations.tests.test_handover import visitor
from tenants.models import User


def test_the_handovers_of_one_company(acme: Character, globex: Character) -> None:
    root = super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))
    for who in (acme, globex):
        with tenant_context(who.company):
            actor, conversation, _ = visitor(who)
            request_handover(actor=actor, conversation_id=conversation.pk, words="My secret invoice")
            take_conversation(actor=who.principal, conversation_id=conversation.pk)
    page = reverse("handovers_of_company", args=[acme.company.pk])
    assert page in root.get(reverse("admin:tenants_company_changelist")).content.decode()
    text = root.get(page).content.decode()
    assert [words for words in ("Acme helper", "Acme Admin") if words not in text] == []
    assert [words for words in ("secret invoice", "Globex helper") if words in text] == []
    assert page_client(acme).get(page).status_code == 302  # to admin's own sign-in
