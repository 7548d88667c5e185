"""The whole platform for the flow tests: started the way a user starts it, once by each of the two test processes that
have flows, and driven from outside.

It has its own PostgreSQL, Valkey, web process, workers and scheduler below a temporary DATA_DIR, and nothing of the
caller's environment but what a program needs to run.
"""

from __future__ import annotations

import gc
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
from knowrithm_py.dataclass.config import KnowrithmConfig
from knowrithm_py.knowrithm.client import KnowrithmClient
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from knowrithm.tests.mailbox import Mailbox, free_port, parts

ROOT = Path(__file__).resolve().parents[2]
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
PASSWORD = "correct-horse-battery"
MAX_FILE_SIZE = 8 * 2**20  # bytes
LOGIN_FAILURE_LIMIT = 3
VISITOR_GONE_SECONDS = 40  # the least: who has left counts as present for 35
BUILTIN = {
    "llm_provider": "builtin",
    "llm_model": "extractive",
    "embedding_provider": "HuggingFace",
    "embedding_model": "all-MiniLM-L6-v2",
}
# What takes longest is begun first, so that no worker is left alone with it at the end.
LONGEST = (
    "/flows/", "tests/test_audit_walk.py", "tests/test_isolation.py", "/test_widget_browser.py",
    "/test_widget_visits.py", "/test_schemathesis.py", "/test_page_accessibility.py", "/test_crawl.py",
    "tests/test_bad_input.py", "/test_rotation.py", "/test_turn_models.py", "/test_bad_files.py",
    "/test_widget_accessibility.py", "/test_lifecycle.py", "/test_single_sign_on.py", "/test_corpus.py",
)  # fmt: skip
# They kill parts and wait until that is noticed, or until a visitor has been away for long enough: minutes in which
# the other flows would stand still.
WAITING = ("/test_reply_by_mail.py", "/test_webhook_kill.py", "/test_crashes.py", "/test_chaos_turns.py")
T = TypeVar("T")
FLOW = pytest.mark.flow


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the platform, as /proc shows it."""

    pid: int
    parent: int
    command: str


@dataclass
class Platform:
    """A running platform and the ways to reach it."""

    url: str
    data_dir: Path
    jwt_secret: str
    supervisor: subprocess.Popen[bytes]
    log: Path
    mailbox: Mailbox
    _clients: list[Any] = field(default_factory=list)

    def client(self, key: str = "", secret: str = "", **options: Any) -> Any:
        """The published Python client; `options` are those of its configuration."""
        client = KnowrithmClient(key, secret, KnowrithmConfig(base_url=f"{self.url}/api", **options))
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        for client in self._clients:
            client._session.close()

    def found_company(self) -> Owner:
        """A new company with one admin and a key of all scopes. Each makes the platform's stop a second longer."""
        name = uuid.uuid4().hex[:8]
        public = self.client()
        company = public.companies.create_company({"name": f"Company {name}", "email": f"office@{name}.example"})
        person = {"username": "admin", "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace"}
        email = f"admin@{name}.example"
        public.auth.register_admin({"company_id": company["id"], "email": email, **person})
        jwt = bearer(public.auth.login(email, PASSWORD)["access_token"])
        key = public.api_keys.create_api_key({"name": "flows", "scopes": ["read", "write", "admin"]}, headers=jwt)
        headers = {"X-API-Key": key["api_key"], "X-API-Secret": key["api_secret"]}
        client = self.client(key["api_key"], key["api_secret"])
        return Owner(self, company["id"], email, jwt, headers, client)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """A plain request, for what the published client would not send."""
        return requests.request(method, f"{self.url}{path}", timeout=60, **options)

    def mailed_to(self, email: str, page: str) -> str:
        """The token of the newest link to `page` that was mailed to this address; waits for the first."""

        def found() -> str | None:
            texts = [parts(mail)[0] for mail in self.mailbox.taken if mail["To"] == email]
            tokens = [token for text in texts for token in re.findall(rf"{page}\?token=([\w-]+)", text)]
            return tokens[-1] if tokens else None

        return wait_for(found, seconds=30)

    def health(self) -> str:
        """The platform's own word for its state; "unreachable" while the web process is away."""
        try:
            return str(self.get("/health").json()["status"])
        except (requests.ConnectionError, ValueError):
            return "unreachable"

    def output(self) -> str:
        """What all its parts have said so far."""
        return self.log.read_text(errors="replace")

    def processes(self, *words: str) -> list[Process]:
        """Those of its processes whose command line has all the words.

        Each carries the data folder's name, but for Valkey, which writes its own title: the supervisor has started it.
        """
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = folder.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
                if not (str(self.data_dir) in command or parent == self.supervisor.pid or self._is_ours(folder)):
                    continue
            except (OSError, ValueError):
                continue  # it has just ended, or is another user's
            if all(word in command for word in words):
                found.append(Process(int(folder.name), parent, command))
        return found

    def _is_ours(self, folder: Path) -> bool:
        return f"DATA_DIR={self.data_dir}".encode() in folder.joinpath("environ").read_bytes().split(b"\0")

    def readers(self) -> set[int]:
        """The processes that read documents: the children of one worker, and the one that reads out of turn itself."""
        slow = self.part("worker-slow@").pid
        children = {process.pid for process in self.processes("worker-slow@") if process.parent == slow}
        return children | {one.pid for one in self.processes("worker-low@") if one.parent == self.supervisor.pid}

    def part(self, *words: str) -> Process:
        """The one process with these words that the supervisor itself started."""
        [process] = [one for one in self.processes(*words) if one.parent == self.supervisor.pid]
        return process


@dataclass(frozen=True)
class Owner:
    """The admin of a company of their own."""

    platform: Platform
    company_id: str
    email: str
    jwt: Mapping[str, str]
    headers: Mapping[str, str]  # the API key's
    client: Any

    def create_agent(self, name: str = "Helper", **settings: Any) -> str:
        """An agent with the built-in models unless `settings` say otherwise; its id."""
        agent = self.client.agents.create_agent({"name": name}, settings={**BUILTIN, **settings})
        return str(agent["agent"]["id"])

    def upload(self, agent_id: str, *paths: Path) -> list[str]:
        """Send files that are all taken; the documents' ids."""
        answer = self.client.documents.upload_documents(agent_id, file_paths=paths)
        assert answer["errors"] == []
        return [document["id"] for document in answer["documents"]]

    def document(self, document_id: str) -> dict[str, Any]:
        """The document with its `chunks`. Raises `requests.HTTPError` while the platform cannot tell."""
        path = f"/api/v1/document/{document_id}"
        answer = self.platform.get(path, headers=self.headers, params={"per_page": 100})
        answer.raise_for_status()
        told = answer.json()
        return {**told["document"], "chunks": told["chunks"]}

    def await_document(self, document_id: str, *, seconds: float = 60) -> dict[str, Any]:
        """The document, once it has ended as processed or failed."""

        def ended() -> dict[str, Any] | None:
            document = self.document(document_id)
            return document if document["status"] in {"processed", "failed"} else None

        return wait_for(ended, seconds=seconds)

    def learn(self, agent_id: str, *paths: Path) -> list[str]:
        """Upload files and wait until all are processed; the documents' ids."""
        document_ids = self.upload(agent_id, *paths)
        faults = [self.await_document(document_id)["processing_error"] for document_id in document_ids]
        assert faults == [""] * len(paths)
        return document_ids

    def start_conversation(self, agent_id: str) -> str:
        return str(self.client.conversations.create_conversation(agent_id)["conversation"]["id"])

    def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.conversations.list_conversation_messages(conversation_id)["messages"]
        return found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def wait_for(condition: Callable[[], T | None], *, seconds: float, pause: float = 0.25) -> T:
    """The first answer of `condition` that is neither None nor False. A test that waits too long has failed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer is not None and answer is not False:
            return answer
        time.sleep(pause)
    pytest.fail(f"{condition.__qualname__} did not come true within {seconds:g} seconds")


class _TwoPlatforms(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives the flow tests to two worker processes, each with a platform; the others are dealt out by module.

    Instead of marks for `--dist loadgroup`: pytest-xdist 3.8 passes a group on in an attribute of the test that pytest
    9.2 does not read any more, so it scatters the group without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        if "/flows/" not in nodeid:
            return nodeid.partition("::")[0]
        return "flows that wait" if any(name in nodeid for name in WAITING) else "flows"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _TwoPlatforms:
    config.option.loadscopereorder = False  # by the number of tests, which says little of how long they take
    return _TwoPlatforms(config, log)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "last: waits for a lease to run out; the other tests run meanwhile")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (_place(item), _lateness(item)))


def pytest_collection_finish() -> None:
    gc.freeze()  # thousands of tests: none of them is garbage, and to search them each time takes long


def _lateness(item: pytest.Item) -> int:
    marker = item.get_closest_marker("last")
    return 0 if marker is None else marker.args[0] if marker.args else 1


def _place(item: pytest.Item) -> int:
    return next((place for place, part in enumerate(LONGEST) if part in item.nodeid), len(LONGEST))


def _environment(data_dir: Path, *, port: int, jwt_secret: str, mail_port: int) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {
        **inherited,
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "JWT_SECRET_KEY": jwt_secret,
        "RATE_LIMIT_ENABLED": "false",
        "OUTBOUND_ALLOW": "127.0.0.1",
        "MAX_FILE_SIZE": str(MAX_FILE_SIZE),
        "LOGIN_FAILURE_LIMIT": str(LOGIN_FAILURE_LIMIT),
        # Shorter for the crash tests. So short that a machine with too much to do may lose leases of the living, which
        # costs time and nothing else.
        "LEASE_SECONDS": "10" if os.environ.get("CRASH_SEEDS") else "15",
        "VISITOR_GONE_SECONDS": str(VISITOR_GONE_SECONDS),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail_port),
        "SMTP_TLS": "false",
    }


def _stop(platform: Platform) -> None:
    """Ctrl-C, and nothing may be left of it: no process, no listening port."""
    platform.supervisor.send_signal(signal.SIGINT)
    assert platform.supervisor.wait(timeout=60) == 0
    assert platform.processes() == []
    assert platform.health() == "unreachable"


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The running platform, its workers included. Its output is shown when it does not start."""
    data_dir = Path(tempfile.mkdtemp(prefix="knowrithm-flows-")).resolve()
    data_dir.chmod(0o711)  # root's PostgreSQL runs as another user
    port, jwt_secret = free_port(), secrets.token_urlsafe(50)
    log = data_dir / "output.log"
    mailbox = Mailbox()
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "knowrithm.embedded", "run"],
            cwd=ROOT,
            env=_environment(data_dir, port=port, jwt_secret=jwt_secret, mail_port=mailbox.port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    platform = Platform(f"http://127.0.0.1:{port}", data_dir, jwt_secret, supervisor, log, mailbox)

    def healthy_or_ended() -> bool:
        return platform.health() == "healthy" or supervisor.poll() is not None

    try:
        wait_for(healthy_or_ended, seconds=300)
        if supervisor.poll() is not None:
            pytest.fail(f"The platform did not start:\n{platform.output()}")
        with mailbox:
            yield platform
        platform.close_clients()
        _stop(platform)
    finally:
        supervisor.kill()
        supervisor.wait()
        shutil.rmtree(data_dir, ignore_errors=True)  # a PostgreSQL that was not stopped may still be writing


@pytest.fixture(scope="session")
def owner(platform: Platform) -> Owner:
    """The company that the flow tests share."""
    return platform.found_company()
