"""Many threads that act for many companies at once, and look at every answer for what belongs to another company.

Each company has a mark of its own, which stands in every text that it sends: names, titles, documents, questions,
leads, settings. An answer that holds another company's mark, or the id of another company's row, is a leak. So is a
row, a file or a record in Redis. An answer with a status that the operation does not know is a fault.
"""

from __future__ import annotations

import random
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import redis
from psycopg import sql

MARK = re.compile(r"zq[0-9a-f]{10}qz")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SCHEMA = re.compile(r"c_[0-9a-f]{32}")
PASSWORD = "correct-horse-battery"
TASK_SECONDS = 300.0
Json = dict[str, Any]


@dataclass
class Member:
    """One company of the crowd: its credentials, and what it has so far. Threads only add to the lists."""

    mark: str
    company_id: str
    admin_id: str
    email: str
    token: str
    person_id: str = ""
    person_token: str = ""
    key: dict[str, str] = field(default_factory=dict)
    cookie: dict[str, str] = field(default_factory=dict)
    agents: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)
    leads: list[tuple[str, str]] = field(default_factory=list)  # token and agent
    lead_conversations: list[tuple[str, str]] = field(default_factory=list)  # token and conversation
    tasks: list[str] = field(default_factory=list)
    seesaw: dict[str, str] = field(default_factory=dict)  # what is archived and restored all the time

    @property
    def schema(self) -> str:
        return f"c_{self.company_id.replace('-', '')}"

    def headers(self, kind: str) -> dict[str, str]:
        bearer = {"token": self.token, "person": self.person_token}.get(kind)
        return {"Authorization": f"Bearer {bearer}"} if bearer else self.key if kind == "key" else self.cookie

    def text(self, what: str) -> str:
        return f"{self.mark} {what} {random.getrandbits(32):08x}"  # a name, no secret


@dataclass
class Findings:
    """What all threads have seen."""

    statuses: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    telling: int = 0  # answers that held the company's own mark or the id of one of its rows
    leaks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def calls(self) -> int:
        return sum(self.statuses.values())


class Crowd:
    """`members` and the ids that are known to be theirs."""

    def __init__(self, url: str, companies: int) -> None:
        self.url, self.findings = url, Findings()
        self.owners: dict[str, str] = {}  # of a row's id, the company's mark
        with httpx2.Client(base_url=url, timeout=60) as http:
            self.members = [self._found(http) for _ in range(companies)]
            for member in self.members:
                self._furnish(http, member)

    def _found(self, http: httpx2.Client) -> Member:
        mark = f"zq{uuid.uuid4().hex[:10]}qz"
        person = {"email": f"admin@{mark}.example", "password": PASSWORD, "first_name": mark, "last_name": mark}
        answer = http.post("/api/v1/auth/register", json={"company_name": f"{mark} Ltd", **person}).json()
        user = answer["user"]
        member = Member(mark, user["company_id"], user["id"], person["email"], answer["access_token"])
        self.owners |= {member.company_id: mark, member.admin_id: mark}
        return member

    def _furnish(self, http: httpx2.Client, member: Member) -> None:
        """All that the company's operations need to be there."""
        actor = Actor(self, http, member, "token")
        body = {"name": member.mark, "scopes": ["read", "write", "admin"]}
        made = actor.post("auth/api-keys", 201, json=body)
        member.key = {"X-API-Key": made["api_key"], "X-API-Secret": made["api_secret"]}
        actor.mine(made["details"]["id"])
        member.cookie = _signed_in(http, member)
        person = {"email": f"person@{member.mark}.example", "password": PASSWORD, "username": member.mark}
        named = {"first_name": member.mark, "last_name": member.mark}
        member.person_id = actor.mine(actor.post("auth/user", 201, json={**person, **named})["user"]["id"])
        credentials = {"email": person["email"], "password": PASSWORD}
        member.person_token = actor.post("auth/login", 200, json=credentials)["access_token"]
        for _ in range(2):
            _create_agent(actor)
        actor.call("PATCH", "config", 200, json={"config_key": "theme", "config_value": member.mark})
        _upload(actor)
        _begin_conversation(actor)
        _register_lead(actor)
        agent = _create_agent(actor, is_kept=False)
        conversation = actor.post("conversation", 201, json={"agent_id": agent, "title": member.text("seesaw")})
        document = _upload(actor, agent=agent, is_kept=False)
        _await_task(actor, member.tasks[-1])  # archived before it is read, its task would rightly fail
        member.seesaw = {
            "agent": _create_agent(actor, is_kept=False),
            "conversation": actor.mine(conversation["conversation"]["id"]),
            "document": document,
        }

    def run(self, *, threads: int, calls: int) -> None:
        """Until so many calls have been made; then until every task has ended."""
        already = self.findings.calls

        def act(seed: int) -> None:
            chance = random.Random(seed)  # reproducible, no secret
            with httpx2.Client(base_url=self.url, timeout=90) as http:
                while self.findings.calls - already < calls:
                    member, name = chance.choice(self.members), chance.choices(NAMES, WEIGHTS)[0]
                    operation, kinds = OPERATIONS[name][1:]
                    with self.findings.lock:
                        self.findings.operations[name] += 1
                    try:
                        operation(Actor(self, http, member, chance.choice(kinds), chance))
                    except Refused:
                        pass  # is noted
                    except Exception as error:  # of any kind: the crowd goes on
                        self.fault(f"{name}: {error!r}")

        workers = [threading.Thread(target=act, args=(seed,)) for seed in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        with httpx2.Client(base_url=self.url, timeout=60) as http:
            for member in self.members:
                for task_id in member.tasks:
                    _await_task(Actor(self, http, member, "token"), task_id)

    def fault(self, what: str) -> None:
        with self.findings.lock:
            self.findings.faults.append(what[:600])

    def look(self, text: str, mark: str, where: str) -> None:
        """Note whatever is in `text` of another company than the one with this mark."""
        strange = {found for found in MARK.findall(text) if found != mark}
        owned = [self.owners[found] for found in UUID.findall(text) if found in self.owners]
        strange |= {owner for owner in owned if owner != mark}
        with self.findings.lock:
            self.findings.telling += mark in text or mark in owned
            if strange:
                self.findings.leaks.append(f"{where} of {mark} holds {sorted(strange)}")


class Refused(Exception):  # is noted already; only ends the operation
    pass


@dataclass(frozen=True)
class Actor:
    """A thread's call for one company with one kind of credential."""

    crowd: Crowd
    http: httpx2.Client
    member: Member
    kind: str
    chance: random.Random = field(default_factory=random.Random)
    lead_token: str = ""

    def post(self, path: str, *expected: int, **options: Any) -> Json:
        return self.call("POST", path, *expected, **options)

    def get(self, path: str, **options: Any) -> Json:
        return self.call("GET", path, 200, **options)

    def call(self, method: str, path: str, *expected: int, **options: Any) -> Json:
        """The body of an answer with one of the expected statuses. `path` is the API's, or a page's with a slash."""
        answer = self.http.request(method, self._address(path), headers=self._headers(), **options)
        self._note(method, path, answer.status_code, answer.text, expected)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        body: Any = answer.json() if is_json else {}
        return body if isinstance(body, dict) else {"items": body}

    def listen(self, path: str) -> str:
        """All that a stream says until it ends."""
        with self.http.stream("GET", self._address(path), headers=self._headers()) as answer:
            text = "".join(answer.iter_text())
        self._note("GET", path, answer.status_code, text, (200,))
        return text

    def _note(self, method: str, path: str, status: int, text: str, expected: Sequence[int]) -> None:
        self.http.cookies.clear()  # they are this company's, and the next call is another's
        with self.crowd.findings.lock:
            self.crowd.findings.statuses[str(status)] += 1
        self.crowd.look(text, self.member.mark, f"{method} {path} ({self.kind})")
        if status not in expected:
            self.crowd.fault(f"{method} {path} ({self.kind}): {status} {text[:300]}")
        if status >= 300:
            raise Refused

    def _address(self, path: str) -> str:
        return path if path.startswith("/") else f"/api/v1/{path}"

    def _headers(self) -> Mapping[str, str]:
        if self.lead_token:
            return {"Authorization": f"Bearer {self.lead_token}"}
        return {} if self.kind == "nobody" else self.member.headers(self.kind)

    def mine(self, row_id: str) -> str:
        self.crowd.owners[row_id] = self.member.mark
        return row_id

    def one(self, ids: Sequence[str]) -> str:
        return self.chance.choice(ids)

    @property
    def agent(self) -> str:
        return self.one(self.member.agents)


def _signed_in(http: httpx2.Client, member: Member) -> dict[str, str]:
    """The headers of a browser that has logged in."""
    http.cookies.clear()
    http.get("/login")
    form = {"email": member.email, "password": PASSWORD, "csrfmiddlewaretoken": http.cookies["csrftoken"]}
    http.post("/login", data=form)
    cookies = dict(http.cookies)
    http.cookies.clear()
    text = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"Cookie": text, "X-CSRFToken": cookies["csrftoken"]}


# --- Operations ---------------------------------------------------------------------------------------------------

READ = (
    "agent", "agent/{agent}", "agent/{agent}/stats", "agent/{agent}/embed-code", "settings/agent/{agent}", "document",
    "document?search={mark}", "document/{document}", "document/agent/{agent}", "document/deleted",
    "document/chunk/deleted", "conversation", "conversation?search={mark}", "conversation/agent/{agent}",
    "conversation/{conversation}/messages", "conversation/deleted", "lead/company", "lead/company?search={mark}",
    "company", "company/{company}", "address", "auth/user/me", "country",
)  # fmt: skip
ADMIN_READ = (
    "users", "users?search={mark}", "admin/user/{person}", "audit-log", "audit-log?per_page=100", "audit-log/export",
    "config", "overview", "usage-trends", "top-endpoints", "api-key-performance", "error-analysis",
    "rate-limit-analysis", "company/statistics", "invitation", "metrics",
    "settings/company/{company}",
)  # fmt: skip
PAGES = (
    "/home", "/agents", "/agents/{agent}", "/agents/{agent}/edit", "/agents/{agent}/embed", "/documents",
    "/documents/{document}", "/api-keys", "/api-usage", "/people", "/people/{person}", "/company", "/company/address",
    "/company/privacy", "/account", "/audit-log", "/invitations", "/security",
)  # fmt: skip
STRANGE = (  # an agent alone is public
    ("GET", "agent/{agent}/stats"), ("GET", "document/{document}"), ("GET", "conversation/{conversation}/messages"),
    ("GET", "settings/agent/{agent}"), ("GET", "document/agent/{agent}"), ("DELETE", "agent/{agent}"),
    ("PUT", "agent/{agent}"), ("DELETE", "document/{document}"), ("DELETE", "conversation/{conversation}"),
    ("GET", "admin/user/{person}"), ("GET", "company/{company}"),
)  # fmt: skip


def _filled(path: str, actor: Actor, owner: Member) -> str:
    return path.format(
        mark=owner.mark, company=owner.company_id, person=owner.person_id, agent=actor.one(owner.agents),
        document=actor.one(owner.documents), conversation=actor.one(owner.conversations),
    )  # fmt: skip


def _read(actor: Actor) -> None:
    actor.get(_filled(actor.one(READ), actor, actor.member))


def _read_as_admin(actor: Actor) -> None:
    actor.get(_filled(actor.one(ADMIN_READ), actor, actor.member))


def _page(actor: Actor) -> None:
    actor.get(_filled(actor.one(PAGES), actor, actor.member))


def _reach_for_another_s(actor: Actor) -> None:
    """A row of another company: the answer names its id at most, as the path does, and changes nothing."""
    other = actor.chance.choice([one for one in actor.crowd.members if one is not actor.member])
    method, path = actor.chance.choice(STRANGE)
    actor.call(method, _filled(path, actor, other), 404)


def _public_agent(actor: Actor) -> None:
    actor.get(f"agent/{actor.agent}")


def _create_agent(actor: Actor, *, is_kept: bool = True) -> str:
    made = actor.post("agent", 201, json={"name": actor.member.text("agent"), "description": actor.member.mark})
    agent_id = actor.mine(made["agent"]["id"])
    if is_kept:
        actor.member.agents.append(agent_id)
    return agent_id


def _update_agent(actor: Actor) -> None:
    body = {"name": actor.member.text("agent"), "description": actor.member.text("changed")}
    actor.call("PUT", f"agent/{actor.agent}", 200, json=body)


def _agent_s_life(actor: Actor) -> None:
    agent_id = _create_agent(actor, is_kept=False)
    actor.mine(actor.post(f"agent/{agent_id}/clone", 201)["agent"]["id"])
    actor.call("DELETE", f"agent/{agent_id}", 200)
    actor.call("PATCH", f"agent/{agent_id}/restore", 200)
    actor.call("DELETE", f"agent/{agent_id}", 200)


def _upload(actor: Actor, *, agent: str = "", is_kept: bool = True) -> str:
    member = actor.member
    text = f"The code word of {member.mark} is {member.text('word')}. It opens the store room of {member.mark}."
    files = {"files": (f"{member.text('file')}.txt", text.encode())}
    answer = actor.post("document/upload", 200, data={"agent_id": agent or actor.agent}, files=files)
    document_id = actor.mine(answer["documents"][0]["id"])
    member.tasks.extend(actor.mine(task_id) for task_id in answer["task_ids"])
    if is_kept:
        member.documents.append(document_id)
    return document_id


def _search(actor: Actor) -> None:
    body = {"agent_id": actor.agent, "query": f"What is the code word of {actor.member.mark}?"}
    actor.post("search/document", 200, json=body)


def _begin_conversation(actor: Actor) -> None:
    body = {"agent_id": actor.agent, "title": actor.member.text("talk")}
    conversation_id = actor.mine(actor.post("conversation", 201, json=body)["conversation"]["id"])
    actor.member.conversations.append(conversation_id)


def _ask(actor: Actor, conversation_id: str, *expected: int) -> None:
    question = {"message": f"{actor.member.mark}: what is the code word?"}
    answer = actor.post(f"conversation/{conversation_id}/chat", 202, *expected, json=question)
    actor.member.tasks.append(actor.mine(answer["task_id"]))


def _chat(actor: Actor) -> None:
    _ask(actor, actor.one(actor.member.conversations))


def _chat_and_listen(actor: Actor) -> None:
    conversation_id = actor.one(actor.member.conversations)
    _ask(actor, conversation_id)
    actor.listen(f"conversation/{conversation_id}/messages/stream")


def _register_lead(actor: Actor) -> None:
    mark, agent_id = actor.member.mark, actor.agent
    name = {"first_name": mark, "last_name": mark, "email": f"{uuid.uuid4().hex[:8]}@{mark}.example"}
    answer = actor.post("lead/register", 201, json={"agent_id": agent_id, **name, "notes": mark})
    actor.mine(answer["lead"]["id"])
    actor.member.leads.append((answer["access_token"], agent_id))


def _as_lead(actor: Actor, token: str) -> Actor:
    return Actor(actor.crowd, actor.http, actor.member, "lead", actor.chance, token)


def _lead_begins(actor: Actor) -> None:
    token, agent_id = actor.chance.choice(actor.member.leads)
    lead = _as_lead(actor, token)
    made = lead.post("conversation", 201, json={"agent_id": agent_id, "title": lead.member.text("visit")})
    conversation_id = lead.mine(made["conversation"]["id"])
    _ask(lead, conversation_id)
    lead.member.lead_conversations.append((token, conversation_id))


def _lead_goes_on(actor: Actor) -> None:
    if not actor.member.lead_conversations:
        _lead_begins(actor)
        return
    token, conversation_id = actor.chance.choice(actor.member.lead_conversations)
    lead = _as_lead(actor, token)
    lead.get(f"conversation/{conversation_id}/messages?include_pending=true")
    lead.listen(f"conversation/{conversation_id}/messages/stream")


def _poll(actor: Actor) -> None:
    actor.get(f"tasks/{actor.one(actor.member.tasks)}/status")


def _configure(actor: Actor) -> None:
    body = {"config_key": f"k{actor.chance.randrange(5)}", "config_value": {"text": actor.member.text("value")}}
    actor.call("PATCH", "config", 200, json=body)


def _change_profile(actor: Actor) -> None:
    actor.call("PUT", "user/profile", 200, json={"first_name": actor.member.text("first")})


def _change_company(actor: Actor) -> None:
    actor.call("PATCH", f"company/{actor.member.company_id}", 200, json={"industry": actor.member.text("trade")})


def _hire(actor: Actor) -> None:
    name = f"u{uuid.uuid4().hex[:10]}"
    person = {"email": f"{name}@{actor.member.mark}.example", "username": name, "password": PASSWORD}
    named = {"first_name": actor.member.mark, "last_name": actor.member.mark}
    user_id = actor.mine(actor.post("auth/user", 201, json={**person, **named})["user"]["id"])
    actor.call("PATCH", f"user/{user_id}/status", 200, json={"status": "suspended", "reason": actor.member.mark})


def _key_s_life(actor: Actor) -> None:
    made = actor.post("auth/api-keys", 201, json={"name": actor.member.text("key"), "scopes": ["read"]})
    key_id = actor.mine(made["details"]["id"])
    actor.get("auth/api-keys")
    actor.post(f"auth/api-keys/{key_id}/rotate", 200, json={"overlap_hours": 1})
    actor.call("DELETE", f"auth/api-keys/{key_id}", 200)


def _keep_settings(actor: Actor) -> None:
    actor.post("settings", 201, json={"name": actor.member.text("settings"), "llm_max_tokens": 77})


def _place(actor: Actor) -> None:
    """A state and a city of the company's own, and an address there."""
    mark = actor.member.mark
    country = actor.chance.choice(actor.get("country")["items"])["id"]
    state = actor.post("state", 201, json={"name": actor.member.text("state"), "country_id": country})["state"]["id"]
    city = actor.post("city", 201, json={"name": actor.member.text("city"), "state_id": state})["city"]["id"]
    where = {"city_id": city, "state_id": state, "country_id": country, "street_address": f"{mark} Street 1"}
    actor.post("address", 201, json={**where, "is_primary": True})


def _count(actor: Actor) -> None:
    answer = actor.post("system-metric", 202)
    actor.member.tasks.append(actor.mine(answer["task_id"]))


def _seesaw(actor: Actor) -> None:
    """Archive or restore what another thread may be archiving or restoring at this moment."""
    kind = actor.one(sorted(actor.member.seesaw))
    path = f"{kind}/{actor.member.seesaw[kind]}"
    if actor.chance.random() < 0.5:
        actor.call("DELETE", path, 200, 404, 409)
    else:
        actor.call("PATCH", f"{path}/restore", 200, 404, 409)


def _ask_on_the_seesaw(actor: Actor) -> None:
    _ask(actor, actor.member.seesaw["conversation"], 404)


TEAM, ADMINS = ("token", "person", "key", "browser"), ("token", "key", "browser")
# By name: how often, what, and with which kinds of credential. People's own rows need a person, not a key.
OPERATIONS: dict[str, tuple[int, Callable[[Actor], object], Sequence[str]]] = {
    "read": (26, _read, TEAM),
    "read as an admin": (16, _read_as_admin, ADMINS),
    "page": (14, _page, ("browser",)),
    "another company's row": (8, _reach_for_another_s, ADMINS),
    "public agent": (3, _public_agent, ("nobody",)),
    "poll a task": (8, _poll, (*TEAM, "nobody")),
    "create an agent": (2, _create_agent, ADMINS),
    "update an agent": (5, _update_agent, TEAM),
    "an agent's life": (2, _agent_s_life, ADMINS),
    "upload": (4, _upload, TEAM),
    "search": (5, _search, TEAM),
    "begin a conversation": (3, _begin_conversation, TEAM),
    "chat": (4, _chat, TEAM),
    "chat and listen": (2, _chat_and_listen, TEAM),
    "register a lead": (3, _register_lead, ("nobody",)),
    "a lead begins": (3, _lead_begins, ("lead",)),
    "a lead goes on": (4, _lead_goes_on, ("lead",)),
    "configure": (3, _configure, ADMINS),
    "change a profile": (3, _change_profile, ("token", "person", "browser")),
    "change the company": (2, _change_company, ADMINS),
    "hire and suspend": (1, _hire, ADMINS),
    "a key's life": (2, _key_s_life, ("token", "browser")),
    "settings": (2, _keep_settings, ADMINS),
    "a place": (1, _place, ADMINS),
    "figures": (2, _count, ADMINS),
    "seesaw": (6, _seesaw, TEAM),
    "ask on the seesaw": (2, _ask_on_the_seesaw, TEAM),
}
NAMES, WEIGHTS = list(OPERATIONS), [weight for weight, _, _ in OPERATIONS.values()]


def _await_task(actor: Actor, task_id: str) -> None:
    """A fault when it fails, or does not end."""
    deadline = time.monotonic() + TASK_SECONDS
    while time.monotonic() < deadline:
        status = actor.get(f"tasks/{task_id}/status")
        if status["status"] == "completed":
            return
        if status["status"] == "failed":
            break
        time.sleep(0.2)
    actor.crowd.fault(f"Task {task_id} of {actor.member.mark}: {status}")


# --- What is kept -------------------------------------------------------------------------------------------------


def sweep(crowd: Crowd, environment: Mapping[str, str]) -> Counter[str]:
    """Look at all that the platform with this environment keeps of the crowd; how many things of each sort that were.

    Whatever holds another company's mark goes to the crowd's leaks.
    """
    looked: Counter[str] = Counter()
    marks = {member.schema: member.mark for member in crowd.members}
    for schema, where, sort, text in (*_rows(environment), *_records(environment), *_files(environment)):
        if mark := marks.get(schema):
            looked[sort] += 1
            # By marks alone: a row names rows of shared tables, and a path in the log may name a stranger's.
            if strange := {found for found in MARK.findall(text) if found != mark}:
                crowd.findings.leaks.append(f"{where} of {mark} holds {sorted(strange)}")
    return looked


Kept = Iterator[tuple[str, str, str, str]]


def _rows(environment: Mapping[str, str]) -> Kept:
    """Of the companies' own tables, and of the shared ones those that belong to a company."""
    own = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema ~ '^c_[0-9a-f]{32}$'"
    shared = "SELECT table_name FROM information_schema.columns WHERE (table_schema, column_name) = ('public', %s)"
    with psycopg.connect(environment["DATABASE_URL"]) as database:
        for schema, table in database.execute(own).fetchall():
            rows = sql.SQL("SELECT row::text FROM {} AS row").format(sql.Identifier(schema, table))
            for (text,) in database.execute(rows):
                yield schema, f"{schema}.{table}", "rows", text
        for (table,) in database.execute(shared, ["company_id"]).fetchall():
            rows = sql.SQL("SELECT company_id, row::text FROM {} AS row WHERE company_id IS NOT NULL").format(
                sql.Identifier("public", table)
            )
            for company_id, text in database.execute(rows):
                yield f"c_{company_id.hex}", f"public.{table}", "shared rows", text


def _records(environment: Mapping[str, str]) -> Kept:
    """Streams, tasks and whatever else names a company's schema in Redis."""
    with redis.Redis.from_url(environment["REDIS_URL"], decode_responses=True) as client:
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            value = client.xrange(key) if kind == "stream" else client.hgetall(key) if kind == "hash" else None
            if value is not None and (found := SCHEMA.search(f"{key} {value}")):
                yield found.group(), f"{kind} {key}", f"Redis: {kind}", str(value)


def _files(environment: Mapping[str, str]) -> Kept:
    for path in Path(environment["DATA_DIR"], "uploads").rglob("*"):
        found = SCHEMA.search(str(path))
        if found and path.is_file():
            yield found.group(), str(path), "files", path.read_text(errors="replace")
