"""The editor that saves drafts, and the page of versions."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries

from agents.drafts import publish_draft, save_draft
from agents.models import Agent, AgentVersion
from agents.selectors import get_agent
from agents.services import update_agent
from agents.tests.test_pages import filled, openai
from agents.versions import drafted
from conftest import Character

HOURS = {"has_hours": "on", "timezone": "Europe/Berlin", "monday_from": "09:00", "monday_to": "17:00"}


def edit(client: Client, who: Character, **form: Any) -> Any:
    return client.post(f"/agents/{who.agent.pk}/edit", filled(**{"name": "Acme helper", **form}))


def current(who: Character) -> Agent:
    with tenant_context(who.company):
        return get_agent(who.agent.pk)


def test_saving_makes_a_draft_and_the_form_goes_on_from_it(acme: Character, acme_client: Client) -> None:
    edit(acme_client, acme, welcome_text="Soon", answer_length="short", starter_questions="One?\n\n Two? \n")
    agent = current(acme)
    assert (agent.welcome_text, agent.version) == ("", 1)
    assert agent.draft == {"welcome_text": "Soon", "answer_length": "short", "starter_questions": ["One?", "Two?"]}
    page = acme_client.get(f"/agents/{agent.pk}/edit")
    form = page.context["form"]
    assert (form["welcome_text"].value(), form["starter_questions"].value()) == ("Soon", "One?\nTwo?")
    assert "There is a draft." in page.content.decode()


def test_the_preview_says_whether_it_asks_a_draft(acme: Character, acme_client: Client) -> None:
    def said() -> tuple[bool, ...]:
        page = acme_client.get(f"/agents/{acme.agent.pk}/edit").content.decode()
        draft, published = (
            (">Draft, not published<", "Visitors do not see the draft."),
            (">Published<", "Visitors are answered in the same way."),
        )
        return tuple(text in page for text in (*draft, *published))

    assert said() == (False, False, True, True)
    edit(acme_client, acme, welcome_text="Soon")
    assert said() == (True, True, False, False)


def test_the_status_is_switched_at_once(acme: Character, acme_client: Client) -> None:
    edit(acme_client, acme, status="inactive")
    agent = current(acme)
    assert (agent.status, agent.has_draft, agent.version) == ("inactive", False, 1)


def test_save_and_publish(acme: Character, acme_client: Client) -> None:
    edit(acme_client, acme, welcome_text="Now", then="publish")
    assert (current(acme).welcome_text, current(acme).version, current(acme).has_draft) == ("Now", 2, False)


def test_hours_are_saved_and_shown(acme: Character, acme_client: Client) -> None:
    edit(acme_client, acme, **HOURS, outside="closed", closed_text="Back soon.", then="publish")
    stored = {
        "timezone": "Europe/Berlin",
        "outside": "closed",
        "monday": [["09:00", "17:00"]],
        "closed_text": "Back soon.",
    }
    assert current(acme).operating_hours == stored
    form = acme_client.get(f"/agents/{acme.agent.pk}/edit").context["form"]
    assert [form[name].value() for name in ("has_hours", "timezone", "outside")] == [True, "Europe/Berlin", "closed"]
    edit(acme_client, acme, then="publish")
    assert current(acme).operating_hours == {}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({**HOURS, "monday_to": ""}, "monday_to"),
        ({**HOURS, "monday_to": "08:00"}, "monday_to"),
        ({"has_hours": "on"}, "has_hours"),
        ({**HOURS, "timezone": "Mars/Olympus"}, "timezone"),
        ({"starter_questions": "\n".join("abcdefg")}, "starter_questions"),
        ({"languages": "x" * 41}, "languages"),
        ({"answer_length": "endless"}, "answer_length"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(
    acme: Character, acme_client: Client, form: dict[str, str], field: str
) -> None:
    assert list(edit(acme_client, acme, **form).context["form"].errors) == [field]
    assert not current(acme).has_draft


def test_hours_that_the_form_cannot_show_survive_an_edit_elsewhere(acme: Character, acme_client: Client) -> None:
    hours = {"timezone": "UTC", "monday": [["09:00", "12:00"], ["13:00", "17:00"]], "tuesday": [["09:00", "12:00"]]}
    with tenant_context(acme.company):
        update_agent(actor=acme.principal, agent=acme.agent, changes={"operating_hours": hours})
    shown = {
        "has_hours": "on", "timezone": "UTC", "outside": "answer", "monday_from": "09:00", "monday_to": "12:00",
        "tuesday_from": "09:00", "tuesday_to": "12:00",
    }  # fmt: skip
    edit(acme_client, acme, **shown, welcome_text="Hi!", then="publish")
    assert current(acme).operating_hours == hours
    edit(acme_client, acme, **{**shown, "tuesday_to": "15:00"}, welcome_text="Hi!", then="publish")
    assert current(acme).operating_hours == hours | {"outside": "answer", "tuesday": [["09:00", "15:00"]]}


def test_stored_hours_that_mean_none_give_way_to_the_form_s(acme: Character, acme_client: Client) -> None:
    with tenant_context(acme.company):
        Agent.objects.update(operating_hours={"friday": [["18:00", "02:00"]]})
    edit(acme_client, acme, **HOURS, then="publish")
    assert current(acme).operating_hours == {
        "timezone": "Europe/Berlin", "outside": "answer", "monday": [["09:00", "17:00"]],
    }  # fmt: skip


def test_the_key_of_a_draft_is_kept_and_not_shown(acme: Character, acme_client: Client) -> None:
    acme_client.post(f"/agents/{acme.agent.pk}/edit", openai(name="Acme helper"))
    acme_client.post(f"/agents/{acme.agent.pk}/edit", openai(name="Acme helper", api_key="", temperature="0.4"))
    agent = current(acme)
    with tenant_context(acme.company):
        settings = drafted(agent).llm_settings
    assert (settings.llm_api_key, settings.llm_temperature) == ("sk-1", 0.4)
    assert agent.llm_settings.is_default
    assert "sk-1" not in acme_client.get(f"/agents/{agent.pk}/versions").content.decode()


def test_publishing_comparing_and_rolling_back_on_the_page(acme: Character, acme_client: Client) -> None:
    url = f"/agents/{acme.agent.pk}"
    with tenant_context(acme.company):
        save_draft(actor=acme.principal, agent=acme.agent, changes={"name": "Renamed", "languages": ["English"]})
    (name, languages) = acme_client.get(f"{url}/versions").context["draft_changes"]
    assert (name.label, name.before, name.after) == ("Name", "Acme helper", "Renamed")
    assert (languages.before, languages.after) == ("", "English")

    acme_client.post(f"{url}/publish", {"note": "A new name"})
    assert (current(acme).name, current(acme).version) == ("Renamed", 2)
    page = acme_client.get(f"{url}/versions", {"from": "2", "to": "1"})
    assert [change.after for change in page.context["changes"]] == ["Acme helper", ""]
    assert "A new name" in page.content.decode()
    assert acme_client.get(f"{url}/versions", {"from": "2", "to": "draft"}).context["changes"] == []
    assert acme_client.get(f"{url}/versions", {"from": "2", "to": "77"}).status_code == 404

    acme_client.post(f"{url}/rollback", {"number": "1"})
    assert (current(acme).name, current(acme).version) == ("Acme helper", 3)
    refused = acme_client.post(f"{url}/rollback", {"number": "1"})
    assert [str(message) for message in get_messages(refused.wsgi_request)][-1] == (
        "Version 1 is what is published already."
    )
    assert acme_client.post(f"{url}/rollback", {"number": "x"}).status_code == 404


def test_a_version_without_a_note_names_what_it_changed(acme: Character, acme_client: Client) -> None:
    def publish(note: str = "", **changes: Any) -> None:
        with tenant_context(acme.company):
            agent = get_agent(acme.agent.pk)
            save_draft(actor=acme.principal, agent=agent, changes=changes)
            publish_draft(actor=acme.principal, agent=agent, note=note)

    publish(welcome_text="Hello!", languages=["English"])
    publish("A new name", name="Renamed")
    page = acme_client.get(f"/agents/{acme.agent.pk}/versions")
    assert [(row.number, said) for row, said in page.context["listed"]] == [
        (3, "A new name"),
        (2, "Languages, Welcome"),
        (1, "Created."),
    ]
    assert "admin@<wbr>acme.example" in page.content.decode()
    with tenant_context(acme.company):
        AgentVersion.objects.filter(number=1).update(note="")  # older than notes: there is none to compare it with
    assert [said for _, said in acme_client.get(f"/agents/{acme.agent.pk}/versions").context["listed"]][-1] == ""


@pytest.mark.parametrize("count", [1, 3])
def test_queries_of_the_page(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count):
        edit(acme_client, acme, welcome_text=f"Hello {number}!", then="publish")
    # two search paths, session, person with company, agent, numbers, count, page, what was changed
    with django_assert_num_queries(9):
        assert len(acme_client.get(f"/agents/{acme.agent.pk}/versions").context["listed"]) == count + 1


def test_discarding_on_the_page(acme: Character, acme_client: Client) -> None:
    edit(acme_client, acme, welcome_text="Soon")
    acme_client.post(f"/agents/{acme.agent.pk}/discard")
    assert not current(acme).has_draft


@pytest.mark.parametrize("action", ["publish", "discard", "rollback"])
def test_changes_need_a_post(acme: Character, acme_client: Client, action: str) -> None:
    assert acme_client.get(f"/agents/{acme.agent.pk}/{action}").status_code == 405
