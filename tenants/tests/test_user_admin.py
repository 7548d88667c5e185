"""Django admin offers for a person what would change something."""

from __future__ import annotations

import pytest
from django.urls import reverse

from conftest import PASSWORD, Character, super_admin_in_browser
from tenants.models import User


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "role", "offered"),
    [
        ("active", "admin", ["Suspend", "Archive", "Make a user"]),
        ("suspended", "admin", ["Reactivate", "Archive", "Make a user"]),
        ("active", "user", ["Suspend", "Archive", "Make an admin"]),
        ("pending_verification", "user", ["Suspend", "Reactivate", "Archive", "Make an admin"]),
    ],
)
def test_what_would_change_nothing_is_not_offered(acme: Character, status: str, role: str, offered: list[str]) -> None:
    root = super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))
    User.objects.filter(pk=acme.admin.pk).update(status=status, role=role)
    actions = root.get(reverse("admin:tenants_user_change", args=[acme.admin.pk])).context["actions_detail"]
    assert [action["title"] for action in actions] == ["Act as this person", "Change"]
    assert [action["title"] for action in actions[1]["items"]] == offered
