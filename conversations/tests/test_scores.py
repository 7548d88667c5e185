"""The scores of leads: edited rules, kept scores, and what won and lost leads teach."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from conftest import Character, bearer
from conversations import scores
from conversations.enums import EntityType, MessageRole
from conversations.models import Conversation, Message
from knowrithm.celery import app as celery
from knowrithm.jobs import create_task, read_task
from knowrithm.principal import Role
from leads.models import Lead, ScoreRules
from leads.score_rules import BY_ID
from leads.selectors import score_rules, scoring_state
from leads.services import change_score_rules, merge_leads, restore_score_rules
from tenants.audit.models import AuditEvent
from tenants.models import User

pytestmark = pytest.mark.django_db
URL = "/api/v1/lead/score-rules"


@pytest.fixture
def eager_worker() -> Iterator[None]:
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


def who_said(who: Character, name: str, *texts: str, **fields: Any) -> Lead:
    """Inside the company's schema. A lead has 8 points for its address."""
    lead: Lead = Lead.objects.create(agent=who.agent, first_name=name, email=f"{name}@x.example", **fields)
    if texts:
        talk = Conversation.objects.create(agent=who.agent, entity_type=EntityType.LEAD, lead=lead)
        for position, text in enumerate(texts, 1):
            Message.objects.create(conversation=talk, position=position, role=MessageRole.USER, content=text)
    return lead


def score(lead: Lead) -> int | None:
    lead.refresh_from_db()
    return lead.score


# --- Keeping them -------------------------------------------------------------------------------------------------


def test_scores_follow_what_is_said_and_known(in_acme: Character) -> None:
    ada, bob = who_said(in_acme, "ada", "What does it cost?"), who_said(in_acme, "bob")
    nameless = who_said(in_acme, "nameless", "I need it today.", is_nameless=True)
    assert scores.score_leads()
    assert (score(ada), score(bob), score(nameless)) == (16, 8, None)
    talk = Conversation.objects.get(lead=ada)
    Message.objects.create(conversation=talk, position=9, role=MessageRole.USER, content="It is urgent.")
    Message.objects.create(conversation=talk, position=10, role=MessageRole.ASSISTANT, content="Our budget is big.")
    assert scores.score_leads()
    assert score(ada) == 16 + 13  # the conversation was last active within the margin
    talk.archived_at = timezone.now()
    talk.save()
    bob.phone = "+49 89 1234567"
    bob.save()
    scores.score_leads()
    assert (score(ada), score(bob)) == (8, 16)


def test_what_has_not_changed_is_not_looked_at_again(in_acme: Character) -> None:
    lead = who_said(in_acme, "ada", "What does it cost?")
    scores.score_leads()
    Conversation.objects.update(
        last_activity=timezone.now() - timedelta(hours=1), updated_at=timezone.now() - timedelta(hours=1)
    )
    Lead.objects.filter(pk=lead.pk).update(score=99)
    scores.score_leads()
    assert score(lead) == 99


def test_merged_leads_have_one_score(in_acme: Character) -> None:
    ada, twin = who_said(in_acme, "ada", "A demo, please."), who_said(in_acme, "twin", "It is urgent.", phone="+49 1")
    scores.score_leads()
    assert (score(ada), score(twin)) == (18, 29)
    merge_leads(actor=in_acme.principal, lead=ada, other_ids=[twin.pk])
    scores.score_leads()
    assert score(ada) == 10 + 13 + 8 + 8


@pytest.mark.parametrize("count", [1, 3])
def test_the_api_gives_the_reasons_and_what_proves_them(
    acme: Character, acme_api: APIClient, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with tenant_context(acme.company):
        lead = who_said(acme, "ada", *["What does it cost?"] * count)
        twin = who_said(acme, "twin", phone="+49 1")
        merge_leads(actor=acme.principal, lead=lead, other_ids=[twin.pk])
        first = Message.objects.get(position=1)
    with django_assert_num_queries(6):
        told = acme_api.get(f"/api/v1/lead/{lead.pk}/score").json()["score"]
    assert (told["lead_id"], told["points"]) == (str(lead.pk), 8 + 8 + 8)
    assert acme_api.get(f"/api/v1/lead/{twin.pk}/score").json()["score"] == told
    given = {row["name"]: (row["points"], row["weight"]) for row in told["criteria"]}
    assert given == {"need": (8, 25), "fit": (0, 25), "urgency": (0, 25), "contactability": (16, 25)}
    [said] = told["criteria"][0]["reasons"]
    assert said == {
        "text": BY_ID["need.price"].text, "points": 8, "message_id": str(first.pk),
        "conversation_id": str(first.conversation_id), "excerpt": "What does it cost?",
    }  # fmt: skip
    assert [row["message_id"] for row in told["criteria"][3]["reasons"]] == [None, None]  # facts of the record


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_costs_the_same_however_many(
    in_acme: Character, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        who_said(in_acme, f"v{number}", "What does it cost?")
    with django_assert_num_queries(7):
        scores._score_batch(uuid.UUID(int=0))
    assert list(Lead.objects.values_list("score", flat=True)) == [16] * count


def test_a_killed_worker_s_rest_is_scored_by_the_next(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "BATCH", 2)
    for number in range(5):
        who_said(in_acme, f"v{number}")
    change_score_rules(actor=in_acme.principal, changes={"rules": {"contactability.email": {"points": 3}}})
    rules = score_rules()
    scores._score_batch(uuid.UUID(int=0))
    scores._tell_progress()
    task = read_task(str(rules.task_id))
    assert task is not None
    assert (task.status, task.progress, task.stage) == ("processing", 40, "2 of 5 leads")
    assert scoring_state(rules).scored == 2
    monkeypatch.setattr(scores, "TURN", 0.0)
    assert not scores.score_leads()  # its time was up at once
    monkeypatch.setattr(scores, "TURN", 30.0)
    assert scores.score_leads()
    task = read_task(str(rules.task_id))
    assert task is not None
    assert (task.status, task.result and task.result["scored"]) == ("completed", 5)
    assert list(Lead.objects.values_list("score", flat=True)) == [3] * 5


def test_a_task_ends_when_other_rules_are_saved(in_acme: Character) -> None:
    change = {"rules": {"need.says": {"is_on": False}}}
    first = change_score_rules(actor=in_acme.principal, changes=change)
    change_score_rules(actor=in_acme.principal, changes=change)  # nothing new
    assert score_rules().task_id == first.task_id
    restore_score_rules(actor=in_acme.principal)
    task = read_task(str(first.task_id))
    assert task is not None
    assert (task.status, task.error_code) == ("failed", "SCORE_RULES_CHANGED")
    restored = score_rules()
    assert (restored.rules, restored.revision) == ({}, 2)
    restore_score_rules(actor=in_acme.principal)  # nothing to restore
    assert score_rules().revision == 2


# --- The API ------------------------------------------------------------------------------------------------------


def test_rules_are_read_changed_and_restored(
    acme: Character,
    acme_api: APIClient,
    eager_worker: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with tenant_context(acme.company):
        lead = who_said(acme, "ada", "Wie teuer ist das Abo?")
        scores.score_leads()
    rules = acme_api.get(URL).json()["score_rules"]
    assert [part["weight"] for part in rules["criteria"]] == [25] * 4
    assert (rules["is_as_it_comes"], rules["revision"], rules["scored"], rules["total"]) == (True, 0, 1, 1)
    change = {
        "weights": {"need": 50, "fit": 0},
        "rules": {
            "need.price": {"words": ["wie  teuer", "Abo", "abo"], "points": 10},
            "urgency.date": {"is_on": False},
        },
    }
    with django_capture_on_commit_callbacks(execute=True):
        body = acme_api.put(URL, change, format="json").json()
    need, _, urgency, _ = body["score_rules"]["criteria"]
    price = next(rule for rule in need["rules"] if rule["id"] == "need.price")
    assert (price["points"], price["points_by_hand"], price["points_as_it_comes"]) == (10, 10, 8)
    assert price["words"] == ["wie teuer", "abo"]
    assert [rule["is_on"] for rule in urgency["rules"]] == [True, False, True]
    status = acme_api.get(body["status_url"]).json()
    assert (status["status"], status["scored"]) == ("completed", 1)
    with tenant_context(acme.company):
        assert score(lead) == 20 + 8  # 10 of 25 points fill 20 of the weight of 50
        [event] = AuditEvent.objects.filter(event_type="lead_scores.changed")
        assert event.changes["weights"][1]["need"] == 50
    record = acme_api.get(f"/api/v1/lead/{lead.pk}").json()["lead"]
    assert record["score"] == 28
    with django_capture_on_commit_callbacks(execute=True):
        body = acme_api.delete(URL).json()
    assert (body["score_rules"]["is_as_it_comes"], body["score_rules"]["revision"]) == (True, 2)
    with tenant_context(acme.company):
        assert score(lead) == 8


def test_what_is_not_sent_stays(acme_api: APIClient) -> None:
    acme_api.put(URL, {"rules": {"fit.size": {"words": ["Leute"], "points": 5}}}, format="json")
    body = acme_api.put(URL, {"rules": {"fit.size": {"points": None}}, "is_learning": False}, format="json").json()
    size = body["score_rules"]["criteria"][1]["rules"][1]
    assert (size["words"], size["points"], size["points_by_hand"]) == (["Leute"], 8, None)
    assert body["score_rules"]["is_learning"] is False


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"weights": {"need": 30}}, "weights"),
        ({"weights": {"need": 125, "fit": -25}}, "weights"),
        ({"weights": {"love": 25}}, "weights"),
        ({"weights": "x"}, "weights"),
        ({"weights": None}, "weights"),
        ({"rules": {"need.love": {"points": 1}}}, "rules"),
        ({"rules": {"need.says": {"points": 26}}}, "rules"),
        ({"rules": {"need.says": {"words": ["x" * 101]}}}, "rules"),
        ({"rules": {"need.says": {"words": [f"w{n}" for n in range(51)]}}}, "rules"),
        ({"rules": {"need.says": {"words": ["(("]}}}, "rules"),
        ({"rules": {"need.says": {"words": [["x"]]}}}, "rules"),
        ({"rules": {"contactability.phone": {"words": ["x"]}}}, "rules"),
        ({"rules": []}, "rules"),
        ({"rules": {"need.says": 5}}, "rules"),
        ({"is_learning": "perhaps"}, "is_learning"),
        ({"is_learning": None}, "is_learning"),
    ],
)
def test_rules_that_make_no_sense(acme: Character, acme_api: APIClient, change: dict[str, Any], field: str) -> None:
    for answer in (
        acme_api.put(URL, change, format="json"),
        acme_api.post(f"{URL}/preview", change, format="json"),
    ):
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    with tenant_context(acme.company):
        assert ScoreRules.objects.count() == 0


def test_only_an_admin_changes_the_rules(acme: Character) -> None:
    User.objects.filter(pk=acme.admin.pk).update(role=Role.USER)
    acme.admin.refresh_from_db()
    api = bearer(acme)
    assert api.get(URL).status_code == 200
    answers = [api.put(URL, {}, format="json"), api.delete(URL), api.post(f"{URL}/preview", {}, format="json")]
    assert [answer.status_code for answer in answers] == [403] * 3


@pytest.mark.parametrize("count", [1, 3])
def test_a_preview_costs_the_same_however_many_and_stores_nothing(
    acme: Character, acme_api: APIClient, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with tenant_context(acme.company):
        for number in range(count):
            who_said(acme, f"v{number}", "A discount?")
    change = {"rules": {"need.price": {"words": ["discount"]}, "contactability.email": {"points": 1}}}
    with django_assert_num_queries(7):
        preview = acme_api.post(f"{URL}/preview", change, format="json").json()["preview"]
    assert (preview["looked_at"], preview["up"], preview["down"], preview["same"]) == (count, count, 0, 0)
    assert [(move["before"], move["after"]) for move in preview["moves"]] == [(8, 9)] * count
    with tenant_context(acme.company):
        assert ScoreRules.objects.count() == 0
        assert Lead.objects.exclude(score=None).count() == 0


def test_a_preview_reads_no_more_than_it_may(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "TRIED_MESSAGES", 3)
    now = timezone.now()
    for day, name in enumerate("abc"):
        who_said(in_acme, name, "A demo?", "A demo?", last_activity=now - timedelta(days=day))
    choices = score_rules().choices
    trial = scores.try_choices(choices, choices)
    assert (trial.looked_at, trial.same) == (1, 1)


# --- Learning -----------------------------------------------------------------------------------------------------


def outcomes(who: Character, **said: tuple[str, int]) -> None:
    for status, (text, count) in said.items():
        for number in range(count):
            who_said(who, f"{status}{number}", text, status=status)


def test_won_and_lost_leads_teach_but_what_was_set_by_hand_stays(in_acme: Character) -> None:
    outcomes(in_acme, converted=("We want to buy a demo, urgent!", 20), lost=("How much is it? Urgent!", 20))
    change_score_rules(actor=in_acme.principal, changes={"rules": {"need.price": {"points": 7}}})
    scores.learn_from_outcomes()
    rules = score_rules()
    points = {rule_id: rules.choices.points(rule) for rule_id, rule in BY_ID.items()}
    assert points["need.buys"] == 20  # met by won ones alone: twice its ten
    assert rules.learned["need.price"] == {"points": 2, "won": 0, "lost": 20}
    assert points["need.price"] == 7  # by hand
    assert points["urgency.hurry"] == 13  # met by all
    assert points["fit.budget"] == 8  # met by none
    assert (rules.learned_from, rules.revision) == ({"won": 20, "lost": 20}, 2)
    event = AuditEvent.objects.get(event_type="lead_scores.learned")
    assert (event.actor_kind, event.changes["learned"][1]["need.buys"]) == ("system", 20)
    scores.learn_from_outcomes()
    assert score_rules().revision == 2  # nothing new: nobody is scored anew
    change_score_rules(actor=in_acme.principal, changes={"is_learning": False})
    assert score_rules().choices.points(BY_ID["need.buys"]) == 10
    change_score_rules(
        actor=in_acme.principal, changes={"is_learning": True, "rules": {"need.price": {"points": None}}}
    )
    assert score_rules().choices.points(BY_ID["need.price"]) == 2


def test_few_outcomes_and_companies_that_do_not_want_it_learn_nothing(in_acme: Character) -> None:
    outcomes(in_acme, converted=("A demo!", 20), lost=("How much?", 19))
    scores.learn_from_outcomes()
    assert ScoreRules.objects.count() <= 1
    assert score_rules().learned == {}
    outcomes(in_acme, contacted=("How much?", 1))
    Lead.objects.filter(status="contacted").update(status="lost")
    change_score_rules(actor=in_acme.principal, changes={"is_learning": False})
    scores.learn_from_outcomes()
    assert score_rules().learned == {}


# --- The page -----------------------------------------------------------------------------------------------------


def form(**changes: str) -> dict[str, str]:
    sent = {"need": "25", "fit": "25", "urgency": "25", "contactability": "25", "is_learning": "on"}
    return {**sent, **{f"{rule_id}-is_on": "on" for rule_id in BY_ID}, **changes}


def test_the_page_shows_previews_saves_and_restores(acme: Character, acme_client: Client) -> None:
    with tenant_context(acme.company):
        lead = who_said(acme, "ada", "<b>rabatt</b>")
    assert "Score</a>" in acme_client.get("/leads").content.decode()
    page = acme_client.get("/leads/score-rules").content.decode()
    assert "Says what they need" in page
    assert "Restore the defaults" not in page
    assert "leads are scored" not in page  # nobody has asked for it
    wanted = form(**{"need.price-words": "Rabatt\n\nSkonto", "need.price-points": "11"})
    preview = acme_client.post("/leads/score-rules/preview", wanted, HTTP_HX_REQUEST="true").content.decode()
    assert "<strong>1</strong> would rise" in preview
    assert "+11" in preview
    page = acme_client.post("/leads/score-rules", wanted, follow=True).content.decode()
    assert "The rules were saved." in page
    assert "Rabatt\nSkonto" in page
    assert "0 of 1 leads are scored" in page
    assert "0 of 1 leads" in acme_client.get("/leads/score-rules", HTTP_HX_REQUEST="true").content.decode()
    with tenant_context(acme.company):
        assert scores.score_leads()
    assert acme_client.get("/leads/score-rules", HTTP_HX_REQUEST="true").content.strip() == b""
    assert "Nothing has changed." in acme_client.post("/leads/score-rules", wanted, follow=True).content.decode()
    shown = acme_client.get(f"/leads/{lead.pk}").content.decode()
    assert "<strong>19</strong> of 100" in shown
    assert "“&lt;b&gt;rabatt" in shown
    page = acme_client.post("/leads/score-rules/restore", follow=True).content.decode()
    assert "as they come again" in page
    with tenant_context(acme.company):
        assert score_rules().rules == {}


def test_a_form_that_makes_no_sense(acme: Character, acme_client: Client) -> None:
    heavy, many = form(need="50"), form(**{"need.price-points": "26"})
    assert "must be 100 together; these are 125" in acme_client.post("/leads/score-rules", heavy).content.decode()
    assert "these are 125" in acme_client.post("/leads/score-rules/preview", heavy).content.decode()
    assert "less than or equal to 25" in acme_client.post("/leads/score-rules", many).content.decode()
    assert "Mend the fields" in acme_client.post("/leads/score-rules/preview", many).content.decode()
    User.objects.filter(pk=acme.admin.pk).update(role=Role.USER)
    assert acme_client.get("/leads/score-rules").status_code == 403
    assert "score-rules" not in acme_client.get("/leads").content.decode()


def test_the_list_is_sorted_by_score(acme: Character, acme_client: Client) -> None:
    with tenant_context(acme.company):
        for name, points in (("ada", 5), ("bob", 50), ("cyd", None)):
            who_said(acme, name, score=points)
    page = acme_client.get("/leads?sort=-score").content.decode()
    assert page.index("bob@") < page.index("ada@") < page.index("cyd@")


def test_a_task_of_another_company_is_not_touched(in_acme: Character) -> None:
    other = create_task()
    scores.score_leads()
    task = read_task(other)
    assert task is not None
    assert task.status == "pending"
