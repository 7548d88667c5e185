"""Drafts, versions, comparing and rolling back."""

from __future__ import annotations

import pytest
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.drafts import discard_draft, publish_draft, roll_back_agent, save_draft
from agents.exceptions import NoDraftError, SettingsGoneError
from agents.models import Agent, AgentVersion, ImmutableError, LLMSettings
from agents.selectors import agent_to_answer, get_agent
from agents.services import archive_agent, settings_by_id, update_agent, update_settings
from agents.versions import drafted, get_version
from conftest import Character, key_client
from documents.services import create_dataset, update_dataset

OPENAI = {"llm_provider": "openai", "llm_model": "gpt-4o", "llm_api_key": "sk-secret-1"}


def url(who: Character, rest: str = "") -> str:
    return f"/api/v1/agent/{who.agent.id}{rest}"


def numbers(client: APIClient, who: Character) -> list[int]:
    return [row["number"] for row in client.get(url(who, "/versions")).json()["versions"]]


def current(who: Character) -> Agent:
    return get_agent(who.agent.pk)


def test_a_new_agent_is_version_1_and_a_change_is_the_next(acme_api: APIClient, acme: Character) -> None:
    assert numbers(acme_api, acme) == [1]
    changed = acme_api.put(url(acme), {"welcome_text": "Hi!", "note": "A greeting"}).json()["agent"]
    assert (changed["version"], changed["has_draft"]) == (2, False)
    body = acme_api.get(url(acme, "/versions")).json()
    first, second = body["versions"][1], body["versions"][0]
    assert (second["number"], second["note"], second["is_published"]) == (2, "A greeting", True)
    assert (first["is_published"], body["published"], body["draft"]) == (False, 2, None)
    assert second["published_by"] == acme.admin.email


def test_what_changes_nothing_makes_no_version(acme_api: APIClient, acme: Character) -> None:
    acme_api.put(url(acme), {"name": acme.agent.name, "status": "inactive"})
    acme_api.put(url(acme))
    assert numbers(acme_api, acme) == [1]


def test_a_draft_changes_nothing_that_visitors_see_until_it_is_published(
    acme_api: APIClient, anonymous: APIClient, acme: Character
) -> None:
    saved = acme_api.put(url(acme), {"draft": True, "name": "Drafted", "welcome_text": "Soon"}).json()["agent"]
    assert (saved["name"], saved["version"], saved["has_draft"]) == ("Acme helper", 1, True)
    assert anonymous.get(url(acme)).json()["name"] == "Acme helper"
    body = acme_api.get(url(acme, "/versions")).json()
    assert (body["draft"], body["total"]) == ({"name": "Drafted", "welcome_text": "Soon"}, 1)

    published = acme_api.post(url(acme, "/publish"), {"note": "Ready"})
    assert (published.status_code, published.json()["version"]["number"]) == (201, 2)
    assert published.json()["version"]["configuration"]["welcome_text"] == "Soon"
    assert anonymous.get(url(acme)).json()["name"] == "Drafted"
    assert acme_api.get(url(acme, "/versions")).json()["draft"] is None
    again = acme_api.post(url(acme, "/publish"))
    assert (again.status_code, again.json()["code"]) == (409, "NO_DRAFT")


def test_drafts_add_up_and_end_where_they_equal_what_is_published(in_acme: Character) -> None:
    actor = in_acme.principal
    save_draft(actor=actor, agent=current(in_acme), changes={"name": "A", "welcome_text": "W"})
    agent = save_draft(actor=actor, agent=current(in_acme), changes={"name": "B", "languages": ["English"]})
    assert agent.draft == {"name": "B", "welcome_text": "W", "languages": ["English"]}
    published = {"name": "Acme helper", "welcome_text": "", "languages": []}
    assert not save_draft(actor=actor, agent=current(in_acme), changes=published).has_draft
    with pytest.raises(NoDraftError):
        discard_draft(actor=actor, agent=current(in_acme))


def test_a_published_change_leaves_the_draft_beside_it(in_acme: Character) -> None:
    actor = in_acme.principal
    save_draft(actor=actor, agent=current(in_acme), changes={"name": "Drafted"})
    update_agent(actor=actor, agent=current(in_acme), changes={"welcome_text": "Hi!"})
    shown = drafted(current(in_acme))
    assert (shown.name, shown.welcome_text) == ("Drafted", "Hi!")
    assert publish_draft(actor=actor, agent=current(in_acme)).number == 3
    assert (current(in_acme).name, current(in_acme).welcome_text) == ("Drafted", "Hi!")


def test_discarding_drops_the_draft_and_the_key_that_was_typed_for_it(in_acme: Character) -> None:
    actor, before = in_acme.principal, LLMSettings.objects.count()
    save_draft(actor=actor, agent=current(in_acme), changes={"name": "X"}, choices=OPENAI)
    agent = current(in_acme)
    assert (agent.llm_settings.llm_provider.slug, drafted(agent).llm_settings.llm_provider.slug) == (
        "builtin",
        "openai",
    )
    assert agent_to_answer(agent.pk, is_draft=True).llm_settings.llm_model.name == "gpt-4o"
    assert agent_to_answer(agent.pk).llm_settings.llm_model.name == "extractive"
    discard_draft(actor=actor, agent=agent)
    assert (current(in_acme).has_draft, LLMSettings.objects.count()) == (False, before)


def test_the_model_of_a_draft_is_changed_and_published_with_its_key(in_acme: Character) -> None:
    actor = in_acme.principal
    save_draft(actor=actor, agent=current(in_acme), changes={}, choices=OPENAI)
    save_draft(actor=actor, agent=current(in_acme), changes={}, choices={"llm_temperature": 0.2})
    version = publish_draft(actor=actor, agent=current(in_acme))
    settings = current(in_acme).llm_settings
    assert (settings.llm_model.name, settings.llm_temperature, settings.llm_api_key) == ("gpt-4o", 0.2, "sk-secret-1")
    assert (settings.name, settings.is_default) == ("Acme helper", False)
    assert (version.configuration["llm_model"], version.configuration["llm_temperature"]) == ("gpt-4o", 0.2)


def test_no_secret_is_frozen(in_acme: Character) -> None:
    choices = {
        **OPENAI,
        "llm_api_base_url": "https://me:hunter2@llm.example/v1",
        "llm_additional_params": {"top_p": 0.5, "headers": {"api_key": "sk-secret-2"}},
    }
    update_agent(actor=in_acme.principal, agent=current(in_acme), changes={}, choices=choices)
    frozen = get_version(in_acme.agent, 2).configuration
    assert (frozen["llm_api_base_url"], frozen["llm_additional_params"]) == (
        "https://[redacted]@llm.example/v1",
        {"top_p": 0.5, "headers": {}},
    )
    assert not {"sk-secret-1", "sk-secret-2", "hunter2"} & set(str(frozen).replace("'", " ").replace(":", " ").split())


def test_comparing_names_what_differs(acme_api: APIClient, acme: Character) -> None:
    acme_api.put(url(acme), {"name": "Renamed", "languages": ["English"], "settings": {"llm_temperature": 0.1}})
    acme_api.put(url(acme), {"draft": True, "answer_length": "short"})

    compared = acme_api.get(url(acme, "/versions/compare"), {"from": "1", "to": "2"}).json()
    assert compared["changes"] == [
        {"field": "name", "label": "Name", "before": "Acme helper", "after": "Renamed"},
        {"field": "languages", "label": "Languages", "before": [], "after": ["English"]},
        {"field": "llm_temperature", "label": "Temperature", "before": 0.7, "after": 0.1},
    ]
    to_draft = acme_api.get(url(acme, "/versions/compare"), {"from": "2", "to": "draft"}).json()
    assert [change["field"] for change in to_draft["changes"]] == ["answer_length"]
    for query, status in (({"from": "1"}, 400), ({"from": "1", "to": "9"}, 404), ({"from": "x", "to": "²"}, 404)):
        assert acme_api.get(url(acme, "/versions/compare"), query).status_code == status


def test_rolling_back_publishes_the_old_configuration_as_a_new_version(acme_api: APIClient, acme: Character) -> None:
    acme_api.put(url(acme), {"name": "Renamed", "retrieval_top_k": 3, "settings": {"llm_temperature": 0.1}})
    made = acme_api.post(url(acme, "/versions/1/rollback"))

    assert made.status_code == 201
    version = made.json()["version"]
    assert (version["number"], version["restored_number"], version["is_published"]) == (3, 1, True)
    assert acme_api.get(url(acme, "/versions/compare"), {"from": "1", "to": "3"}).json()["changes"] == []
    agent = acme_api.get("/api/v1/agent").json()["agents"][0]
    assert (agent["name"], agent["retrieval_top_k"], agent["temperature"]) == ("Acme helper", None, 0.7)
    again = acme_api.post(url(acme, "/versions/1/rollback"))
    assert (again.status_code, again.json()["code"]) == (409, "VERSION_UNCHANGED")
    assert acme_api.post(url(acme, "/versions/7/rollback")).status_code == 404


def test_rolling_back_uses_the_key_only_where_it_is_still_stored(in_acme: Character) -> None:
    actor = in_acme.principal
    with_openai = {**OPENAI, "llm_temperature": 0.3}
    update_agent(actor=actor, agent=current(in_acme), changes={}, choices=with_openai)  # version 2
    update_agent(actor=actor, agent=current(in_acme), changes={}, choices={"llm_temperature": 0.9})  # 3, the same row
    roll_back_agent(actor=actor, agent=current(in_acme), version=get_version(in_acme.agent, 2))
    settings = current(in_acme).llm_settings
    assert (settings.llm_temperature, settings.llm_api_key) == (0.3, "sk-secret-1")

    for row in LLMSettings.objects.with_models().filter(llm_provider__slug="openai"):
        update_settings(actor=actor, settings=row, choices={"llm_provider": "builtin"})
    with pytest.raises(SettingsGoneError):
        roll_back_agent(actor=actor, agent=current(in_acme), version=get_version(in_acme.agent, 2))


def test_changed_settings_are_a_version_of_each_agent_that_uses_them(in_acme: Character) -> None:
    default = settings_by_id(in_acme.agent.llm_settings_id)
    update_settings(actor=in_acme.principal, settings=default, choices={"llm_max_tokens": 77})
    update_settings(actor=in_acme.principal, settings=default, choices={"llm_api_key": "sk-another"})
    versions = AgentVersion.objects.filter(agent=in_acme.agent)
    assert [(row.number, row.configuration["llm_max_tokens"]) for row in versions] == [(2, 77), (1, 1000)]


def test_an_agent_older_than_versions_keeps_what_it_was(in_acme: Character) -> None:
    AgentVersion.objects.all().delete()
    Agent.objects.update(version=0)
    update_agent(actor=in_acme.principal, agent=current(in_acme), changes={"name": "Renamed"})
    versions = AgentVersion.objects.filter(agent=in_acme.agent)
    assert [(row.number, row.configuration["name"]) for row in versions] == [(2, "Renamed"), (1, "Acme helper")]


def test_datasets_are_part_of_a_version_and_come_back(in_acme: Character) -> None:
    actor = in_acme.principal
    manuals = create_dataset(actor=actor, name="Manuals", agent_ids=[in_acme.agent.pk])  # version 2
    assert get_version(in_acme.agent, 2).configuration["dataset_names"] == {str(manuals.pk): "Manuals"}
    update_dataset(actor=actor, dataset=manuals, changes={}, agent_ids=[])  # version 3
    assert get_version(in_acme.agent, 3).configuration["datasets"] == []
    roll_back_agent(actor=actor, agent=current(in_acme), version=get_version(in_acme.agent, 2))
    assert [grant.agent_id for grant in manuals.grants.all()] == [in_acme.agent.pk]
    roll_back_agent(actor=actor, agent=current(in_acme), version=get_version(in_acme.agent, 1))
    assert manuals.grants.count() == 0


def test_a_version_is_never_changed(in_acme: Character) -> None:
    version = get_version(in_acme.agent, 1)
    version.note = "Rewritten"
    with pytest.raises(ImmutableError):
        version.save()


def test_settings_that_a_draft_uses_are_not_deleted(acme_api: APIClient, acme: Character) -> None:
    own = acme_api.post("/api/v1/settings", {"llm_max_tokens": 5}).json()["settings"]["id"]
    acme_api.put(url(acme), {"draft": True, "llm_settings_id": own})
    assert acme_api.delete(f"/api/v1/settings/{own}").status_code == 409
    assert acme_api.delete(url(acme, "/draft")).status_code == 200
    assert acme_api.delete(f"/api/v1/settings/{own}").status_code == 200


def test_who_may_draft_and_publish(acme_api: APIClient, acme: Character) -> None:
    reader = key_client(acme, "read")
    assert reader.get(url(acme, "/versions")).status_code == 200
    assert reader.post(url(acme, "/publish")).status_code == 403
    assert reader.post(url(acme, "/versions/1/rollback")).status_code == 403
    acme.admin.role = "user"
    acme.admin.save()
    assert acme_api.put(url(acme), {"draft": True, "name": "Mine"}).status_code == 200
    assert acme_api.put(url(acme), {"draft": True, "settings": {"llm_max_tokens": 5}}).status_code == 403
    assert acme_api.post(url(acme, "/publish")).status_code == 201


def test_an_archived_agent_has_no_versions_to_see(acme_api: APIClient, acme: Character) -> None:
    with tenant_context(acme.company):
        archive_agent(actor=acme.principal, agent=current(acme))
    assert acme_api.get(url(acme, "/versions")).status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_needs_the_same_queries_for_any_number(
    acme_api: APIClient, acme: Character, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count - 1):
        acme_api.put(url(acme), {"name": f"Name {number}"})
    with django_assert_num_queries(4):  # session, path and role, agent, page
        assert len(acme_api.get(url(acme, "/versions")).json()["versions"]) == count
