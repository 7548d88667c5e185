"""The published Python client, unmodified, against the whole platform: the contract's compatibility scenarios."""

from __future__ import annotations

import functools
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from knowrithm_py.dataclass.error import KnowrithmAPIError

from documents.tests.website import Page, Website, html, serving
from knowrithm.llm.providers.extractive import NO_ANSWER
from knowrithm.tests.flows.files import WARRANTY, WARRANTY_QUESTION, library, write_files
from knowrithm.tests.platform import (
    BUILTIN,
    FLOW,
    LOGIN_FAILURE_LIMIT,
    PASSWORD,
    Owner,
    Platform,
    bearer,
    wait_for,
)
from knowrithm.tests.providers import AnthropicServer, GoogleServer, OpenAIServer
from knowrithm.tests.providers.server import ProviderServer

pytestmark = FLOW

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    write_files(folder, library())
    return folder


@pytest.fixture(scope="module")
def agent_id(owner: Owner, folder: Path) -> str:
    """An agent that has read about the pump and the stock."""
    agent_id = owner.create_agent("Reader")
    owner.learn(agent_id, folder / "pump.txt", folder / "stock.csv")
    return agent_id


def refused(call: Any, *arguments: Any, **options: Any) -> Any:
    """The error that the client raises for the call."""
    with pytest.raises(KnowrithmAPIError) as caught:
        call(*arguments, **options)
    return caught.value


# --- Health, assets, people and keys ------------------------------------------------------------------------------


def test_health_is_public(platform: Platform) -> None:
    health = platform.client().analytics.health_check()
    assert {name: health[name] for name in health if name not in {"timestamp", "version"}} == {
        "status": "healthy",
        "database": "connected",
        "redis": "connected",
        "celery": "running",
        "unserved_queues": [],
    }


def test_widget_script_is_served(platform: Platform) -> None:
    assert "data-agent-id" in platform.client().agents.fetch_widget_script()


def test_company_and_its_first_admin_sign_up_and_sign_in(platform: Platform) -> None:
    public = platform.client()
    email = f"{uuid.uuid4().hex}@acme.example"
    company = public.companies.create_company({"name": "Acme", "email": email})
    person = {"username": "ada", "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace"}
    registered = public.auth.register_admin({"company_id": company["id"], "email": email, **person})
    assert registered["user"]["email"] == email
    session = public.auth.login(email, PASSWORD)
    assert session["user"]["id"] == registered["user"]["id"]
    assert session["company"]["id"] == company["id"]
    assert session["access_token"] != session["refresh_token"]


def test_second_registration_of_an_address_is_refused(owner: Owner) -> None:
    person = {"username": "eve", "password": PASSWORD, "first_name": "Eve", "last_name": "Smith"}
    again = {"company_id": owner.company_id, "email": owner.email, **person}
    error = refused(owner.platform.client().auth.register_admin, again)
    assert (error.status_code, error.message) == (409, "An account with this e-mail address exists already.")


def test_wrong_passwords_lock_the_account(owner: Owner) -> None:
    email = f"{uuid.uuid4().hex}@acme.example"
    person = {"username": email[:20], "password": PASSWORD, "first_name": "Max", "last_name": "Weak"}
    assert owner.client.auth.create_user({"email": email, **person})["user"]["email"] == email
    login = owner.platform.client().auth.login
    failures = [refused(login, email, "not the password").status_code for _ in range(LOGIN_FAILURE_LIMIT)]
    assert failures == [401] * LOGIN_FAILURE_LIMIT
    assert refused(login, email, PASSWORD).status_code == 423


def test_bearer_token_wins_over_dummy_key_headers(owner: Owner) -> None:
    profile = owner.platform.client("x", "y").users.get_profile(owner.jwt)
    assert profile["user"]["email"] == owner.email


def test_profile_shows_what_was_changed(owner: Owner) -> None:
    me = owner.client.auth.get_current_user(owner.jwt)
    assert (me["user"]["email"], me["company"]["id"]) == (owner.email, owner.company_id)
    owner.client.users.update_profile({"first_name": "Grace", "timezone": "Europe/Berlin"}, headers=owner.jwt)
    user = owner.client.users.get_profile(owner.jwt)["user"]
    assert (user["first_name"], user["last_name"], user["timezone"]) == ("Grace", "Lovelace", "Europe/Berlin")
    owner.client.users.update_profile({"first_name": "Ada"}, headers=owner.jwt)  # as other flows know her


def test_refresh_token_is_good_for_one_use(owner: Owner) -> None:
    public = owner.platform.client()
    session = public.auth.login(owner.email, PASSWORD)
    fresh = public.auth.refresh_access_token(session["refresh_token"])
    assert public.users.get_profile(bearer(fresh["access_token"]))["user"]["email"] == owner.email
    assert refused(public.auth.refresh_access_token, session["refresh_token"]).status_code == 401


def test_signed_out_token_is_refused(owner: Owner) -> None:
    public = owner.platform.client()
    jwt = bearer(public.auth.login(owner.email, PASSWORD)["access_token"])
    assert public.users.get_profile(jwt)["user"]["email"] == owner.email
    public.auth.logout(jwt)
    assert refused(public.users.get_profile, jwt).status_code == 401


def test_api_key_lives_and_dies(owner: Owner) -> None:
    keys = owner.client.api_keys
    made = keys.create_api_key({"name": "short-lived", "scopes": ["read"]}, headers=owner.jwt)
    [listed] = [row for row in keys.list_api_keys(owner.jwt)["api_keys"] if row["name"] == "short-lived"]
    assert listed["key_prefix"] == made["api_key"][:8]
    assert made["api_secret"] not in json.dumps(listed)
    client = owner.platform.client(made["api_key"], made["api_secret"])
    validated = client.api_keys.validate_credentials({})
    assert (validated["valid"], validated["api_key_info"]["name"]) == (True, "short-lived")
    keys.delete_api_key(listed["id"], owner.jwt)
    assert refused(client.agents.list_agents).status_code == 401


def test_key_does_only_what_its_scopes_allow(owner: Owner) -> None:
    made = owner.client.api_keys.create_api_key({"name": "reader", "scopes": ["read"]}, headers=owner.jwt)
    reader = owner.platform.client(made["api_key"], made["api_secret"])
    assert isinstance(reader.agents.list_agents()["agents"], list)
    error = refused(reader.agents.create_agent, {"name": "Mine"}, settings=BUILTIN)
    assert (error.status_code, error.error_code) == (403, "FORBIDDEN")


def test_errors_say_what_was_wrong(owner: Owner) -> None:
    reader = owner.client.api_keys.create_api_key({"name": "errors", "scopes": ["read"]}, headers=owner.jwt)
    read_only = owner.platform.client(reader["api_key"], reader["api_secret"])
    errors = [
        refused(owner.client.agents.get_agent, UNKNOWN_ID),
        refused(owner.client.conversations.create_conversation, "no-uuid"),
        refused(owner.platform.client("ak_wrong", "sk_wrong").agents.list_agents),
        refused(read_only.conversations.create_conversation, UNKNOWN_ID),
    ]
    assert [error.status_code for error in errors] == [404, 400, 401, 403]
    assert [error.error_code for error in errors] == [
        "NOT_FOUND",
        "VALIDATION_ERROR",
        "API_KEY_INVALID",
        "FORBIDDEN",
    ]
    assert [error.response_data["message"] for error in errors] == [error.message for error in errors]
    assert all(error.message for error in errors)


# --- Agents -------------------------------------------------------------------------------------------------------


def test_agent_is_made_from_the_names_of_its_models(owner: Owner) -> None:
    made = owner.client.agents.create_agent({"name": "By names"}, settings=BUILTIN)
    assert made["agent"]["name"] == "By names"
    assert made["settings"]["id"] == made["agent"]["llm_settings_id"]
    assert (made["settings"]["llm_model_name"], made["settings"]["embedding_provider"]) == ("extractive", "huggingface")


def test_agent_is_made_from_the_ids_of_its_models(owner: Owner) -> None:
    providers = owner.client.settings.list_settings_providers()
    ids = {}
    for part in ("llm", "embedding"):
        [provider] = [row for row in providers[f"{part}_providers"] if row["value"] == "builtin"]
        ids[f"{part}_provider_id"] = provider["id"]
        [ids[f"{part}_model_id"]] = [row["id"] for row in provider["models"] if row["type"] == part]
    made = owner.client.agents.create_agent({"name": "By ids", **ids})
    assert made["agent"]["name"] == "By ids"
    assert {name: made["settings"][name] for name in ids} == ids


def test_unknown_model_is_refused(owner: Owner) -> None:
    error = refused(owner.client.agents.create_agent, {"name": "No"}, settings={**BUILTIN, "llm_model": "gpt-99"})
    assert error.status_code == 400
    assert "gpt-99" in error.message


def test_agents_are_found_by_id_name_status_and_page(owner: Owner) -> None:
    agents = owner.client.agents
    ids = {name: owner.create_agent(name) for name in ("NaMe with/slash expert", "Pump expert", "Valve expert")}
    assert owner.platform.client().agents.get_agent(ids["Pump expert"])["agent"]["name"] == "Pump expert"
    assert agents.get_agent_by_name("name WITH/slash Expert")["agent"]["id"] == ids["NaMe with/slash expert"]
    agents.update_agent(ids["Valve expert"], {"status": "inactive"})
    inactive = agents.list_agents(status="inactive", search="expert", page=1, per_page=10)
    assert [agent["id"] for agent in inactive["agents"]] == [ids["Valve expert"]]
    second = agents.list_agents(search="expert", page=2, per_page=2)
    assert len(second["agents"]) == 1
    page = {name: second["pagination"][name] for name in ("page", "total", "pages", "has_next", "has_prev")}
    assert page == {"page": 2, "total": 3, "pages": 2, "has_next": False, "has_prev": True}


def test_agent_is_changed_cloned_deleted_and_restored(owner: Owner) -> None:
    agents = owner.client.agents
    agent_id = owner.create_agent("First name")
    assert agents.update_agent(agent_id, {"name": "Second name"})["agent"]["name"] == "Second name"
    clone = agents.clone_agent(agent_id, name="Twin")["agent"]
    assert clone["id"] != agent_id
    assert (clone["name"], clone["model_name"]) == ("Twin", "extractive")
    agents.delete_agent(agent_id)
    assert agent_id not in [agent["id"] for agent in agents.list_agents(per_page=100)["agents"]]
    assert refused(agents.get_agent, agent_id).status_code == 404
    agents.restore_agent(agent_id)
    assert agents.get_agent(agent_id)["agent"]["name"] == "Second name"
    owner.start_conversation(agent_id)
    assert refused(agents.delete_agent, agent_id).status_code == 400


def test_agent_s_embed_code_figures_and_test(owner: Owner) -> None:
    agents = owner.client.agents
    agent_id = owner.create_agent("Helper")
    embed = agents.get_embed_code(agent_id)
    assert agent_id in embed["embed_code"]
    assert "/api/widget.js" in embed["embed_code"]
    for answer in (agents.test_agent(agent_id, query="What do you know?"), agents.test_agent(agent_id)):
        assert answer["response"] == NO_ANSWER
    assert agents.get_agent_stats(agent_id)["total_conversations"] == 0
    assert "<p>x</p>" in agents.render_test_page("<p>x</p>")


# --- Documents ----------------------------------------------------------------------------------------------------


def test_every_format_is_read(platform: Platform, folder: Path) -> None:
    owner = platform.found_company()
    agent_id = owner.create_agent()
    paths = [folder / name for name in library()]
    answer = owner.client.documents.upload_documents(agent_id, file_paths=paths, metadata={"tags": ["a", "b"]})
    assert (answer["documents_processed"], answer["errors"]) == (len(paths), [])
    listing = functools.partial(owner.client.documents.list_documents, status="processed", per_page=100)
    wait_for(lambda: listing()["pagination"]["total"] == len(paths), seconds=60)
    read = {document["original_filename"]: document for document in listing()["documents"]}
    assert {name: read[name]["document_type"] for name in library()} == {
        name: name.rpartition(".")[2] for name in library()
    }
    assert {tuple(document["metadata"]["tags"]) for document in read.values()} == {("a", "b")}
    for question, name in (
        ("What pressure does the Q7 valve withstand?", "valve.pdf"),
        ("How many days of paid holiday does an employee have?", "holidays.docx"),
        ("Where do visitors park?", "parking.html"),
        ("What does goulash soup cost?", "menu.xml"),
        ("To whom is a lost badge reported?", "security.md"),
        ("In which city is the office?", "office.json"),
        ("What does a spanner cost?", "stock.csv"),
    ):
        hits = owner.client.analytics.search_documents(question, agent_id, limit=1)["results"]
        assert [hit["document_id"] for hit in hits] == [read[name]["id"]]
        assert hits[0]["locator"] != {}


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    """A web server with the library's files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keeps the test output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_and_addresses_are_taken_together_and_a_bad_file_spoils_no_other(
    owner: Owner, folder: Path, tmp_path: Path, site: str
) -> None:
    agent_id = owner.create_agent()
    [picture] = write_files(tmp_path, {"photo.gif": b"GIF89a" + bytes(100)})
    answer = owner.client.documents.upload_documents(
        agent_id, file_paths=[folder / "pump.txt", picture], urls=[f"{site}/parking.html", f"{site}/valve.pdf"]
    )
    assert (answer["documents_processed"], answer["documents_failed"]) == (3, 1)
    assert [(error["name"], error["code"]) for error in answer["errors"]] == [("photo.gif", "DOC_UNSUPPORTED_TYPE")]
    documents = [owner.await_document(document["id"]) for document in answer["documents"]]
    assert [(document["original_filename"], document["document_type"]) for document in documents] == [
        ("pump.txt", "txt"),
        ("parking.html", "html"),
        ("valve.pdf", "pdf"),
    ]
    assert [document["processing_error"] for document in documents] == [""] * 3


def test_upload_of_nothing_but_an_unsupported_file_is_refused(owner: Owner, agent_id: str, tmp_path: Path) -> None:
    [picture] = write_files(tmp_path, {"photo.gif": b"GIF89a" + bytes(100)})
    error = refused(owner.client.documents.upload_documents, agent_id, file_paths=[picture])
    assert (error.status_code, error.error_code) == (400, "DOC_UNSUPPORTED_TYPE")


def test_single_address_is_fetched(owner: Owner, site: str) -> None:
    agent_id = owner.create_agent()
    answer = owner.client.documents.upload_documents(agent_id, url=f"{site}/parking.html")
    [document] = [owner.await_document(document["id"]) for document in answer["documents"]]
    assert (document["status"], document["source_url"]) == ("processed", f"{site}/parking.html")


def test_documents_and_chunks_are_deleted_and_restored(owner: Owner, folder: Path) -> None:
    """Scenario 32 of the contract, whole."""
    documents, search = owner.client.documents, owner.client.analytics.search_documents
    agent_id = owner.create_agent("Forgets")
    pump_id, stock_id = owner.learn(agent_id, folder / "pump.txt", folder / "stock.csv")

    def found() -> set[str]:
        return {hit["document_id"] for hit in search(WARRANTY_QUESTION, agent_id, limit=10)["results"]}

    def deleted(listing: dict[str, Any], key: str) -> set[str]:
        return {row["id"] for row in listing[key]} & {pump_id, *chunk_ids}

    hits = search(WARRANTY_QUESTION, agent_id, limit=10)["results"]
    chunk_ids = {hit["chunk_id"] for hit in hits if hit["document_id"] == pump_id}
    chunk_id = hits[0]["chunk_id"]
    assert documents.delete_document(pump_id)["deleted_chunks_count"] == len(chunk_ids) == 1
    assert found() == {stock_id}
    assert deleted(documents.list_deleted_documents(), "deleted_documents") == {pump_id}
    assert documents.restore_document(pump_id)["filename"] == "pump.txt"
    assert found() == {pump_id, stock_id}

    assert documents.delete_document_chunk(chunk_id)["chunk_index"] == 0
    assert deleted(documents.list_deleted_chunks(), "deleted_chunks") == {chunk_id}
    assert found() == {stock_id}
    documents.restore_document_chunk(chunk_id)
    assert documents.delete_document_chunks(pump_id)["deleted_chunks_count"] == 1
    assert found() == {stock_id}
    assert documents.restore_all_document_chunks(pump_id)["restored_chunks_count"] == 1
    assert found() == {pump_id, stock_id}

    gone = documents.bulk_delete_documents([pump_id, stock_id])
    assert gone["deleted_documents_count"] == 2
    assert found() == set()
    assert refused(documents.bulk_delete_documents, [pump_id, UNKNOWN_ID]).status_code == 404


def test_the_same_file_is_taken_once(owner: Owner, folder: Path) -> None:
    agent_id = owner.create_agent("Once")
    [first] = owner.learn(agent_id, folder / "pump.txt")
    again = owner.client.documents.upload_documents(agent_id, file_paths=[folder / "pump.txt"])
    assert (again["documents_processed"], again["errors"]) == (1, [])
    assert [document["duplicate_of"] for document in again["documents"]] == [first]
    other = owner.client.documents.upload_documents(
        agent_id, file_paths=[folder / "pump.txt"], metadata={"allow_duplicate": "true"}
    )
    assert other["documents"][0]["id"] != first


def test_search_finds_the_passage_of_the_right_agent_until_it_is_deleted(owner: Owner, folder: Path) -> None:
    agent_id, other_id = owner.create_agent("Knows"), owner.create_agent("Knows nothing")
    pump_id, _ = owner.learn(agent_id, folder / "pump.txt", folder / "stock.csv")
    search = owner.client.analytics.search_documents
    hits = search(WARRANTY_QUESTION, agent_id, limit=3)["results"]
    assert (hits[0]["document_id"], hits[0]["document_name"]) == (pump_id, "pump.txt")
    assert WARRANTY in hits[0]["content"]
    assert search(WARRANTY_QUESTION, other_id, limit=3)["results"] == []
    owner.client.documents.delete_document(pump_id)
    left = search(WARRANTY_QUESTION, agent_id, limit=3)["results"]
    assert {hit["document_name"] for hit in left} <= {"stock.csv"}


# --- Conversations ------------------------------------------------------------------------------------------------


def test_answer_comes_from_the_file_with_its_source(owner: Owner, agent_id: str) -> None:
    conversation_id = owner.start_conversation(agent_id)
    answer = owner.client.messages.send_message(conversation_id, WARRANTY_QUESTION)
    assert "37 months" in answer["content"]
    assert answer["response"] == answer["content"]
    assert "[Source 1]" in answer["content"]
    question, reply = owner.messages(conversation_id)
    assert (question["role"], question["content"]) == ("user", WARRANTY_QUESTION)
    assert (reply["role"], reply["content"], reply["reply_to"]) == ("assistant", answer["content"], question["id"])
    assert [(source["document_name"], source["source_number"]) for source in reply["sources"]] == [("pump.txt", 1)]
    assert WARRANTY in reply["sources"][0]["excerpt"]


def test_question_without_an_answer_in_the_files_is_refused(owner: Owner, agent_id: str) -> None:
    conversation_id = owner.start_conversation(agent_id)
    answer = owner.client.messages.send_message(conversation_id, "Who won the football world cup of 1998?")
    assert (answer["is_refusal"], answer["sources"]) == (True, [])


def test_stream_shows_the_answer_and_ends(owner: Owner, agent_id: str) -> None:
    conversation_id = owner.start_conversation(agent_id)
    stream = owner.client.messages.send_message(conversation_id, WARRANTY_QUESTION, stream=True)
    events = list(stream)
    assert {event.event for event in events} == {"chat_status", "chat_delta", "chat_response"}
    assert events[0].event == "chat_status"
    [response] = [event.data for event in events if event.event == "chat_response"]
    stored = owner.messages(conversation_id)[1]
    assert (response["status"], response["message"]["content"]) == ("completed", stored["content"])
    assert "".join(event.data["text"] for event in events if event.event == "chat_delta") == stored["content"]
    assert {event.data["conversation_id"] for event in events} == {conversation_id}


def test_stream_shows_only_the_events_that_were_asked_for(owner: Owner, agent_id: str) -> None:
    conversation_id = owner.start_conversation(agent_id)
    owner.client.messages.send_message(conversation_id, WARRANTY_QUESTION)
    stream = owner.client.messages.stream_conversation_messages(conversation_id, event_types=["chat_response"])
    [event] = list(stream)
    assert (event.event, event.data["message"]["id"]) == ("chat_response", owner.messages(conversation_id)[1]["id"])


def test_tasks_can_be_followed_by_hand(owner: Owner, agent_id: str) -> None:
    client = owner.platform.client(owner.client.api_key, owner.client.api_secret, auto_resolve_async_tasks=False)
    conversation_id = owner.start_conversation(agent_id)
    accepted = client.messages.send_message(conversation_id, WARRANTY_QUESTION)
    assert (accepted["status"], accepted["status_url"]) == ("queued", f"/api/v1/tasks/{accepted['task_id']}/status")
    result = client.resolve_async_task(accepted)
    assert result["message_id"] == accepted["message_id"]
    assert "37 months" in result["content"]
    assert client.resolve_async_task(accepted["status_url"]) == result
    assert refused(client.resolve_async_task, f"/api/v1/tasks/{UNKNOWN_ID}/status").status_code == 404


def test_failed_task_says_why(owner: Owner, folder: Path) -> None:
    with OpenAIServer() as gone:
        address = gone.base_url
    agent_id = owner.create_agent(
        llm_provider="openai", llm_model="gpt-4o-mini", llm_api_key="k", llm_api_base_url=address
    )
    owner.learn(agent_id, folder / "pump.txt")
    conversation_id = owner.start_conversation(agent_id)
    error = refused(owner.client.messages.send_message, conversation_id, WARRANTY_QUESTION)
    assert error.message == "The model server 127.0.0.1 could not be reached."
    reply = owner.messages(conversation_id)[1]
    assert (reply["status"], reply["error"]) == ("failed", error.message)


def test_conversations_are_listed_by_whom_and_by_agent(owner: Owner) -> None:
    conversations, agents = owner.client.conversations, [owner.create_agent(name) for name in ("First", "Second")]
    person = {"password": PASSWORD, "first_name": "Col", "last_name": "League"}
    email = f"colleague@{owner.email[6:]}"
    user = owner.client.auth.create_user({"email": email, "username": "colleague", **person}, headers=owner.jwt)["user"]
    signed_in = bearer(owner.client.auth.login(email, PASSWORD)["access_token"])
    first, second = (owner.start_conversation(agent) for agent in agents)
    theirs = conversations.create_conversation(agents[0], headers=signed_in)["conversation"]["id"]

    def listed(call: Any, *arguments: Any, **options: Any) -> list[str]:
        return [row["id"] for row in call(*arguments, **options)["conversations"]]

    assert {first, second, theirs} <= set(listed(conversations.list_conversations, per_page=100))
    assert set(listed(conversations.list_conversations_by_agent, agents[0])) == {first, theirs}
    assert listed(conversations.list_conversations_for_entity, headers=signed_in) == [theirs]
    assert theirs not in listed(conversations.list_conversations_for_entity, per_page=100)
    by_entity = conversations.list_conversations_by_entity
    assert listed(by_entity, user["id"], entity_type="USER", status="all") == [theirs]
    conversations.delete_conversation(theirs)
    assert listed(by_entity, user["id"]) == []
    assert listed(by_entity, user["id"], status="all") == [theirs]

    total = conversations.list_conversations(per_page=1)["pagination"]["total"]
    pages = [conversations.list_conversations(page=page, per_page=1) for page in range(1, total + 1)]
    assert len({row["id"] for page in pages for row in page["conversations"]}) == total
    assert {page["pagination"]["total"] for page in pages} == {total}


def test_conversations_and_messages_are_deleted_and_restored(owner: Owner, agent_id: str) -> None:
    client = owner.client
    conversation_id = owner.start_conversation(agent_id)
    client.messages.send_message(conversation_id, WARRANTY_QUESTION)
    question, reply = (message["id"] for message in owner.messages(conversation_id))

    client.messages.delete_message(reply)
    assert [message["id"] for message in owner.messages(conversation_id)] == [question]
    assert reply in [message["id"] for message in client.messages.list_deleted_messages()["deleted_messages"]]
    client.messages.restore_message(reply)
    assert [message["id"] for message in owner.messages(conversation_id)] == [question, reply]

    assert client.conversations.delete_conversation_messages(conversation_id)["deleted_messages_count"] == 2
    assert owner.messages(conversation_id) == []
    assert client.conversations.restore_all_messages(conversation_id)["restored_messages_count"] == 2
    assert len(owner.messages(conversation_id)) == 2

    client.conversations.delete_conversation(conversation_id)
    deleted = client.conversations.list_deleted_conversations()["deleted_conversations"]
    assert conversation_id in [row["id"] for row in deleted]
    assert refused(client.messages.send_message, conversation_id, WARRANTY_QUESTION).status_code == 404
    client.conversations.restore_conversation(conversation_id)
    answer = client.messages.send_message(conversation_id, WARRANTY_QUESTION)
    assert "37 months" in answer["content"]


def test_lead_talks_to_the_agent_and_sees_nothing_else(owner: Owner, agent_id: str) -> None:
    public = owner.platform.client()
    tokens = []
    for name in ("visitor", "other", "visitor"):
        lead = {"first_name": "Vic", "last_name": "Itor", "email": f"{name}@example.com", "agent_id": agent_id}
        registered = public.leads.register_lead(lead)
        assert registered["lead"]["email"] == f"{name}@example.com"
        tokens.append(bearer(registered["access_token"]))
    visitor, other, _ = tokens
    conversations = public.conversations
    conversation_id = conversations.create_conversation(agent_id, headers=visitor)["conversation"]["id"]
    answer = public.messages.send_message(conversation_id, WARRANTY_QUESTION, headers=visitor)
    assert "37 months" in answer["content"]
    assert refused(public.leads.list_company_leads, headers=visitor).status_code == 403
    assert refused(conversations.list_conversation_messages, conversation_id, headers=other).status_code == 404
    assert refused(public.messages.send_message, conversation_id, "Hello?", headers=other).status_code == 404
    leads = owner.client.leads.list_company_leads(search="visitor@example.com")["leads"]
    assert [lead["email"] for lead in leads] == ["visitor@example.com"]


def test_a_lead_is_made_found_qualified_counted_and_deleted(owner: Owner, agent_id: str) -> None:
    leads, companies = owner.client.leads, owner.client.companies
    before = companies.get_company_statistics()["statistics"]
    person = {"agent_id": agent_id, "first_name": "Quentin", "last_name": "Fied", "email": "quentin@fied.example"}
    made = leads.create_lead(person)["lead"]
    assert leads.get_lead(made["id"])["lead"]["email"] == "quentin@fied.example"
    found = leads.list_company_leads(status="new", search="quentin fied")["leads"]
    assert [lead["id"] for lead in found] == [made["id"]]

    changed = leads.update_lead(made["id"], {"status": "qualified", "notes": "Wants twenty."})["lead"]
    assert (changed["status"], changed["notes"]) == ("qualified", "Wants twenty.")
    assert leads.list_company_leads(status="new", search="quentin fied")["leads"] == []
    after = companies.get_company_statistics()["statistics"]
    assert [after[name] - before[name] for name in ("total_leads", "qualified_leads")] == [1, 1]

    leads.delete_lead(made["id"])
    assert refused(leads.get_lead, made["id"]).status_code == 404
    assert leads.list_company_leads(search="quentin fied")["leads"] == []


def test_fifteen_conversations_at_once_are_all_answered(owner: Owner, agent_id: str) -> None:
    conversation_ids = [owner.start_conversation(agent_id) for _ in range(15)]

    def ask(conversation_id: str) -> str:
        client = owner.platform.client(owner.client.api_key, owner.client.api_secret)
        return str(client.messages.send_message(conversation_id, WARRANTY_QUESTION)["content"])

    with ThreadPoolExecutor(15) as pool:
        answers = list(pool.map(ask, conversation_ids))
    assert len(set(answers)) == 1
    assert "37 months" in answers[0]


# --- Remote models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server_class", "provider", "model"),
    [
        (OpenAIServer, "openai", "gpt-4o-mini"),
        (AnthropicServer, "anthropic", "claude-sonnet-4-5"),
        (GoogleServer, "google", "gemini-2.5-flash"),
    ],
)
def test_remote_model_streams_a_cited_answer_from_the_passage(
    owner: Owner, folder: Path, server_class: type[ProviderServer], provider: str, model: str
) -> None:
    with server_class(reply="It lasts 37 months [Source 1].", required_key="secret") as server:
        agent_id = owner.create_agent(
            llm_provider=provider, llm_model=model, llm_api_key="secret", llm_api_base_url=server.base_url
        )
        owner.learn(agent_id, folder / "pump.txt")
        conversation_id = owner.start_conversation(agent_id)
        events = list(owner.client.messages.send_message(conversation_id, WARRANTY_QUESTION, stream=True))
        [request] = server.requests
    deltas = [event.data["text"] for event in events if event.event == "chat_delta"]
    assert "".join(deltas) == "It lasts 37 months [Source 1]."
    reply = events[-1].data["message"]
    assert (reply["content"], reply["model_used"]) == ("It lasts 37 months [Source 1].", model)
    assert [source["document_name"] for source in reply["sources"]] == ["pump.txt"]
    prompt = json.dumps(request.json)
    assert WARRANTY in prompt
    assert WARRANTY_QUESTION in prompt


# --- Websites -----------------------------------------------------------------------------------------------------


@pytest.fixture
def website() -> Iterator[Website]:
    with serving() as web:
        web.pages |= {
            "/": html("The shop sells pumps and opens at nine.", "/warranty", "/prices", "/staff"),
            "/warranty": html("The warranty of the Z9 pump lasts eleven years."),
            "/prices": html("The Z9 pump costs forty crowns."),
            "/staff": html("Ada Lovelace leads the workshop."),
        }
        yield web


def test_a_website_is_crawled_and_searched_until_it_is_deleted(owner: Owner, website: Website) -> None:
    agent_id, websites = owner.create_agent("Crawler"), owner.client.websites
    source = websites.register_source({"agent_id": agent_id, "base_url": website.url()})["website_source"]
    assert (source["agent_id"], source["base_url"], source["is_active"]) == (agent_id, website.url(), True)
    again = refused(websites.register_source, {"agent_id": agent_id, "base_url": website.url("/#top")})
    assert (again.status_code, again.error_code) == (409, "WEBSITE_EXISTS")
    assert [row["id"] for row in websites.list_sources(agent_id=agent_id)["website_sources"]] == [source["id"]]

    crawled = websites.trigger_crawl(source["id"], max_pages=3)
    assert (crawled["website_source_id"], crawled["processed_pages"], crawled["failures"]) == (source["id"], 3, [])
    pages = websites.list_source_pages(source["id"])
    assert (pages["website_source"]["id"], pages["website_source"]["last_crawl_status"]) == (source["id"], "active")
    assert {page["canonical_url"] for page in pages["pages"]} == set(crawled["discovered_urls"])
    assert {page["last_crawl_status"] for page in pages["pages"]} == {"crawled"}

    def search() -> list[str]:
        query = {"agent_id": agent_id, "query": "How long is the warranty of the Z9?"}
        found = owner.platform.post("/api/v1/search/document", headers=owner.headers, json=query).json()
        return [result["content"] for result in found["results"]]

    assert "The warranty of the Z9 pump lasts eleven years." in search()[0]
    greeting = owner.platform.client().websites.handshake(agent_id, website.url("/warranty"), trigger_crawl=False)
    assert greeting["website_source"]["id"] == source["id"]
    assert greeting["website_page"]["canonical_url"] == website.url("/warranty")
    assert greeting["crawl_task_id"] is None

    assert websites.delete_source(source["id"])["status"] == "deleted"
    assert websites.delete_source(source["id"])["status"] == "already_inactive"
    assert websites.list_sources(agent_id=agent_id)["website_sources"] == []
    assert search() == []


def test_a_website_that_cannot_be_crawled_says_why(owner: Owner, website: Website) -> None:
    agent_id, websites = owner.create_agent("Shut out"), owner.client.websites
    website.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /")
    source = websites.register_source({"agent_id": agent_id, "url": website.url()})["website_source"]
    error = refused(websites.trigger_crawl, source["id"])
    assert (error.message, error.response_data["error_code"]) == (
        "The site's robots.txt forbids the address that the crawl would begin with.",
        "CRAWL_FORBIDDEN",
    )
    [row] = websites.list_sources(agent_id=agent_id)["website_sources"]
    assert (row["last_crawl_status"], row["last_error"]) == ("failed", error.message)
