"""Whatever people and programs send: a clear refusal, or a document that failed with its cause. No fault of ours."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
import yaml

from knowrithm.tests.flows.files import docx, docx_bomb, library, pdf, write_files
from knowrithm.tests.platform import BUILTIN, FLOW, MAX_FILE_SIZE, PASSWORD, ROOT, Owner, Platform, bearer, wait_for

pytestmark = FLOW

CORPUS = ROOT.parent / "shared" / "data"
needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason="needs the public test files beside the project")
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
NUL = "a\0b"
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><l>&i;</l>"
)
EXTERNAL = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a; and more</l>'


def check_refusal(response: requests.Response, status: int, code: str = "") -> None:
    """The error envelope: an object whose texts are texts."""
    body = response.json()
    assert response.status_code == status, body
    assert body["success"] is False
    texts = [body[name] for name in ("error", "message", "code", "error_code")]
    assert [text for text in texts if not isinstance(text, str) or not text] == []
    assert code in {"", body["code"]}


# --- Files --------------------------------------------------------------------------------------------------------

REFUSED = {
    "picture.pdf": "DOC_TYPE_MISMATCH",
    "noise.txt": "DOC_TYPE_MISMATCH",
    "program.exe": "DOC_UNSUPPORTED_TYPE",
    "cut.docx": "DOC_DAMAGED",
    "empty.txt": "DOC_EMPTY",
    "blank.txt": "DOC_EMPTY",
    "large.txt": "DOC_TOO_LARGE",
}
FAILED = {
    "encrypted.pdf": "DOC_ENCRYPTED",
    "broken.pdf": "DOC_DAMAGED",
    "invalid.json": "DOC_DAMAGED",
    "bomb.xml": "DOC_DANGEROUS",
    "external.xml": "DOC_DANGEROUS",
    "bomb.docx": "DOC_DANGEROUS",
}
TAKEN = ("one-line.txt", "invalid-utf8.txt", "latin-1.txt", "../../etc/a-\u202ename.txt")


def bad_files() -> dict[str, bytes]:
    return {
        "picture.pdf": b"\x89PNG\r\n\x1a\n" + bytes(500),
        "noise.txt": bytes(range(256)) * 4,
        "program.exe": b"MZ" + bytes(500),
        "cut.docx": docx("Hello")[:900],
        "empty.txt": b"",
        "blank.txt": b" \n\t\r\n",
        "large.txt": b"pump " * (MAX_FILE_SIZE // 5 + 1),
        "encrypted.pdf": pdf("Hello", encrypted=True),
        "broken.pdf": b"%PDF-1.7\n" + b"garbage " * 100,
        "invalid.json": b'{"office": {"city": "Reykjavik"',
        "bomb.xml": BOMB.encode(),
        "external.xml": EXTERNAL.encode(),
        "bomb.docx": docx_bomb(300),
        # Six megabytes without a line break, most of them blank: embedding as many words would take minutes.
        "one-line.txt": (b"The last pump stands in hall nine. " + b" " * 15_000) * 400,
        "invalid-utf8.txt": b"The warranty lasts \xc3\x28 37 months \xf0\x9f.",
        "latin-1.txt": "Die Gewährleistung beträgt 37 Monate.".encode("latin-1"),
        "../../etc/a-\u202ename.txt": b"A name is only a name.",
    }


@pytest.fixture(scope="module")
def agent_id(owner: Owner) -> str:
    return owner.create_agent("Target")


def send_file(owner: Owner, agent_id: str, name: str, content: bytes) -> requests.Response:
    return owner.platform.post(
        "/api/v1/document/upload", headers=owner.headers, data={"agent_id": agent_id}, files={"files": (name, content)}
    )


@pytest.fixture(scope="module")
def uploads(owner: Owner, agent_id: str) -> dict[str, requests.Response]:
    """The answers to all files, sent together so that the workers read them while other tests run."""
    return {name: send_file(owner, agent_id, name, content) for name, content in bad_files().items()}


def outcome(owner: Owner, upload: requests.Response) -> dict[str, Any]:
    assert upload.status_code == 200, upload.text
    [document] = upload.json()["documents"]
    return owner.await_document(document["id"], seconds=90)


@pytest.mark.parametrize("name", REFUSED)
def test_file_that_cannot_be_taken_is_refused(uploads: dict[str, requests.Response], name: str) -> None:
    check_refusal(uploads[name], 400, REFUSED[name])
    assert list(uploads[name].json()["errors"]) == [name]


@pytest.mark.parametrize("name", FAILED)
def test_file_that_cannot_be_read_fails_with_its_cause(
    owner: Owner, uploads: dict[str, requests.Response], name: str
) -> None:
    document = outcome(owner, uploads[name])
    assert (document["status"], document["error_code"], document["chunks"]) == ("failed", FAILED[name], [])
    assert document["processing_error"].endswith(".")


@pytest.mark.parametrize("name", TAKEN)
def test_odd_file_is_read_all_the_same(owner: Owner, uploads: dict[str, requests.Response], name: str) -> None:
    document = outcome(owner, uploads[name])
    assert (document["status"], document["processing_error"]) == ("processed", "")
    assert document["original_filename"] == name.rpartition("/")[2].replace("\u202e", "")
    assert document["chunks"] != []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("pdf/structure/encrypted.pdf", "failed", "DOC_ENCRYPTED"),
        ("pdf/structure/empty.pdf", "failed", "DOC_EMPTY"),
        ("pdf/structure/toc_circular.pdf", "processed", ""),
        ("xml/xmlbomb.xml", "failed", "DOC_DANGEROUS"),
        ("xml/quadratic.xml", "failed", "DOC_DANGEROUS"),
        ("xml/external_file.xml", "failed", "DOC_DANGEROUS"),
    ],
)
@pytest.mark.corpus
@needs_corpus
def test_attacks_of_the_corpus_end_in_words(owner: Owner, agent_id: str, path: str, status: str, code: str) -> None:
    file = CORPUS / path
    document = outcome(owner, send_file(owner, agent_id, file.name, file.read_bytes()))
    assert (document["status"], document["error_code"]) == (status, code)


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/a", "http://", "http://[::1", "javascript:alert(1)", "x" * 3000])
def test_address_that_is_none_is_refused(owner: Owner, agent_id: str, url: str) -> None:
    body = {"agent_id": agent_id, "urls": [url]}
    check_refusal(owner.platform.post("/api/v1/document/upload", headers=owner.headers, json=body), 400)


# --- Ids, messages, credentials -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("agent", "status"), [(UNKNOWN_ID, 404), ("no-uuid", 400), ("", 400), (None, 400), ([], 400)])
def test_unknown_agent_is_refused_everywhere(owner: Owner, agent: object, status: int) -> None:
    lead = {"first_name": "A", "last_name": "B", "email": "a@example.com"}
    for path, body in (
        ("conversation", {}),
        ("document/upload", {"url": "https://example.com"}),
        ("search/document", {"query": "pump"}),
        ("lead/register", lead),
    ):
        answer = owner.platform.post(f"/api/v1/{path}", headers=owner.headers, json={**body, "agent_id": agent})
        check_refusal(answer, status)


@pytest.mark.parametrize("message", ["", "  \n", "\0", "x" * 200_000, None, ["Hello"], {"text": "Hello"}])
def test_message_without_words_or_with_too_many_is_refused(owner: Owner, agent_id: str, message: object) -> None:
    conversation_id = owner.start_conversation(agent_id)
    path = f"/api/v1/conversation/{conversation_id}/chat"
    check_refusal(owner.platform.post(path, headers=owner.headers, json={"message": message}), 400)
    assert owner.messages(conversation_id) == []


@pytest.fixture(scope="module")
def bad_credentials(owner: Owner) -> dict[str, dict[str, str]]:
    """Credentials that look right and are not, by what is wrong with them."""
    secret = owner.platform.jwt_secret
    good = jwt.decode(owner.jwt["Authorization"].split()[1], secret, algorithms=["HS256"], issuer="knowrithm")
    refresh = owner.platform.client().auth.login(owner.email, PASSWORD)["refresh_token"]
    keys = owner.client.api_keys
    key = keys.create_api_key({"name": "revoked", "scopes": ["read"]}, headers=owner.jwt)
    keys.delete_api_key(key["details"]["id"], owner.jwt)
    tokens = {
        "expired": jwt.encode({**good, "exp": int(time.time()) - 10}, secret),
        "of another platform": jwt.encode(good, "another secret, just as long as ours, but not ours"),
        "unsigned": jwt.encode(good, "", algorithm="none"),
        "of a session that never was": jwt.encode({**good, "sid": UNKNOWN_ID}, secret),
        "of another company": jwt.encode({**good, "company_id": UNKNOWN_ID}, secret),
        "of another person": jwt.encode({**good, "user_id": UNKNOWN_ID}, secret),
        "refresh token": refresh,
        "no token": "Hello",
    }
    return {
        **{name: bearer(token) for name, token in tokens.items()},
        "revoked key": {"X-API-Key": key["api_key"], "X-API-Secret": key["api_secret"]},
        "wrong secret": {**owner.headers, "X-API-Secret": "sk_wrong"},
        "secret without a key": {"X-API-Secret": owner.headers["X-API-Secret"]},
        "key of another alphabet": {"X-API-Key": "ak_\u00fc\u00ff"},
    }


@pytest.mark.parametrize(
    "name",
    [
        "expired", "of another platform", "unsigned", "of a session that never was", "of another company",
        "of another person", "refresh token", "no token", "revoked key", "wrong secret", "secret without a key",
        "key of another alphabet",
    ],
)  # fmt: skip
def test_bad_credential_opens_nothing(
    owner: Owner, agent_id: str, bad_credentials: dict[str, dict[str, str]], name: str
) -> None:
    headers = bad_credentials[name]
    conversation_id = owner.start_conversation(agent_id)
    for path in ("agent", "auth/user/me", f"conversation/{conversation_id}/messages/stream"):
        check_refusal(owner.platform.get(f"/api/v1/{path}", headers=headers), 401)
    body = {"message": "Hello"}
    check_refusal(owner.platform.post(f"/api/v1/conversation/{conversation_id}/chat", headers=headers, json=body), 401)


# --- Every operation of the API -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document, its path filled in with ids of real rows."""

    method: str
    path: str
    body: Mapping[str, Any] | None  # a NUL character in every text; None when it takes no JSON
    query: tuple[str, ...]


def _with_nul(schema: Mapping[str, Any], components: Mapping[str, Any], ids: Mapping[str, str], name: str = "") -> Any:
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if variants := schema.get("allOf") or schema.get("oneOf") or schema.get("anyOf"):
        return _with_nul(variants[0], components, ids, name)
    if schema.get("format") == "uuid":
        return ids.get(name, UNKNOWN_ID)
    kind = schema.get("type", "object")
    if kind == "string":
        return f"{NUL}@example.com" if schema.get("format") == "email" else schema.get("enum", [NUL])[0]
    if kind == "array":
        return [_with_nul(schema.get("items", {}), components, ids)]
    if kind == "object":
        properties = schema.get("properties", {})
        return {key: _with_nul(part, components, ids, key) for key, part in properties.items()} or {"key": NUL}
    return {"integer": 5, "number": 1.0, "boolean": False}.get(kind, NUL)


def operations(document: Mapping[str, Any], ids: Mapping[str, str]) -> Iterator[Operation]:
    components = document["components"]["schemas"]
    for template, methods in document["paths"].items():
        for method, described in methods.items():
            path = template
            for parameter in described.get("parameters", ()):
                if parameter["in"] == "path":
                    value = ids.get(parameter["name"], UNKNOWN_ID)
                    is_text = parameter["schema"].get("format") != "uuid"
                    path = path.replace(f"{{{parameter['name']}}}", "a%00b" if is_text else value)
            query = tuple(one["name"] for one in described.get("parameters", ()) if one["in"] == "query")
            content = described.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            body = _with_nul(schema, components, ids) if schema else None
            yield Operation(method.upper(), path, body, query)


@pytest.fixture(scope="module")
def victim(platform: Platform) -> Owner:
    """A company of its own: some of what is sent deletes and changes things."""
    return platform.found_company()


@pytest.fixture(scope="module")
def every_operation(victim: Owner) -> list[Operation]:
    agent_id = victim.create_agent("Victim")
    other = victim.client.agents.create_agent({"name": "Other"}, settings=BUILTIN)
    ids = {
        "agent_id": agent_id,
        "company_id": victim.company_id,
        "conversation_id": victim.start_conversation(agent_id),
        "settings_id": other["settings"]["id"],
    }
    document = yaml.safe_load(victim.platform.get("/api/schema").text)
    found = list(operations(document, ids))
    # What ends or archives comes last, or there would be nothing left to try the rest on.
    return sorted(found, key=lambda operation: operation.method == "DELETE" or "logout" in operation.path)


def faults(victim: Owner, sent: list[tuple[Operation, dict[str, Any]]]) -> list[str]:
    """Which of the requests were answered with a fault of ours, or with an error that is not in the envelope."""
    found = []
    for operation, options in sent:
        headers = {**victim.headers, **options.pop("headers", {})}
        # Not read on success: the event stream of a conversation that waits has no end.
        answer = victim.platform.request(operation.method, operation.path, headers=headers, stream=True, **options)
        if answer.status_code < 400:
            answer.close()
            continue
        try:
            check_refusal(answer, answer.status_code)
            assert answer.status_code < 500
        except (AssertionError, ValueError, KeyError, TypeError):
            found.append(f"{operation.method} {operation.path} {options}: {answer.status_code} {answer.text[:200]}")
    return found


BROKEN_BODIES = (b'{"a":', b"[1]", b'"text"', b"null", b'{"a": "\xff"}', b"[" * 20_000)


def test_broken_json_is_refused_by_every_operation(victim: Owner, every_operation: list[Operation]) -> None:
    headers = {"Content-Type": "application/json"}
    sent = [
        (operation, {"data": body, "headers": headers})
        for operation in every_operation
        if operation.body is not None and operation.method != "DELETE"
        for body in BROKEN_BODIES
    ]
    assert len(sent) > 100
    assert faults(victim, sent) == []


def test_wrong_content_type_is_refused_by_every_operation(victim: Owner, every_operation: list[Operation]) -> None:
    sent = [
        (operation, {"data": b"name=x&agent_id=%00", "headers": {"Content-Type": content_type}})
        for operation in every_operation
        if operation.body is not None and operation.method != "DELETE"
        for content_type in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/xml",
        )
    ]
    assert len(sent) > 60
    assert faults(victim, sent) == []


def test_nul_characters_in_every_text_are_no_fault(victim: Owner, every_operation: list[Operation]) -> None:
    sent: list[tuple[Operation, dict[str, Any]]] = [
        (operation, {"json": operation.body} if operation.body is not None else {}) for operation in every_operation
    ]
    sent = [
        *[(operation, {"params": dict.fromkeys(operation.query, NUL)}) for operation, _ in sent if operation.query],
        *sent,
    ]
    assert len(sent) > 60
    assert faults(victim, sent) == []


# --- Naughty strings ----------------------------------------------------------------------------------------------


def joined(words: list[str], limit: int) -> list[str]:
    """The words in as few lines of at most `limit` characters as their order allows; longer ones are left out."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= limit:
            lines[-1] += f" {word}"
        elif len(word) <= limit:
            lines.append(word)
    return lines


@pytest.mark.corpus
@needs_corpus
def test_naughty_strings_are_kept_as_they_are(owner: Owner, agent_id: str) -> None:
    strings = json.loads((CORPUS / "strings" / "blns.json").read_text())
    words = [text.strip() for text in strings if text.strip()]
    names, messages = joined(words, 200), joined(words, 1000)
    named = [owner.client.agents.create_agent({"name": name}, settings=BUILTIN)["agent"]["name"] for name in names]
    assert named == names
    conversation_id = owner.start_conversation(agent_id)
    path = f"/api/v1/conversation/{conversation_id}/chat"
    for message in messages:
        accepted = owner.platform.post(path, headers=owner.headers, json={"message": message})
        assert accepted.status_code == 202, message

    def answered() -> list[dict[str, Any]] | None:
        listed = owner.client.conversations.list_conversation_messages(conversation_id, per_page=100)["messages"]
        return listed if len(listed) == 2 * len(messages) else None

    listed = wait_for(answered, seconds=60)
    assert [message["content"] for message in listed if message["role"] == "user"] == messages
    assert {message["status"] for message in listed} == {"completed"}


# --- At the end ---------------------------------------------------------------------------------------------------


def test_after_all_of_it_the_platform_works_and_has_seen_no_fault(owner: Owner, tmp_path: Path) -> None:
    [path] = write_files(tmp_path, {"pump.txt": library()["pump.txt"]})
    owner.learn(owner.create_agent("Survivor"), path)
    assert owner.platform.health() == "healthy"
    said = owner.platform.output()
    marks = ("Traceback", "event='unhandled'", "event='turn_failed'", "event='ingestion_failed'")
    assert [line for line in said.splitlines() if any(mark in line for mark in marks)] == []
