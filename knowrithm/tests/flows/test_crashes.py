"""Workers killed at every step, Redis lost, PostgreSQL restarted: no document is lost, none is stored twice.

`CRASH_SEEDS=20` takes twenty runs, each with kills at other moments, and holds them to recover within a minute, on a
machine that does nothing else. Without it two are taken beside the other tests, and may take longer.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import psycopg
import pytest
import redis
import requests
from knowrithm_py.dataclass.error import KnowrithmAPIError
from PIL import Image, ImageDraw

from knowrithm.tests.flows.files import write_files
from knowrithm.tests.platform import FLOW, Owner, Platform, wait_for

pytestmark = FLOW

T = TypeVar("T")

IS_ALONE = bool(os.environ.get("CRASH_SEEDS"))
SEEDS = int(os.environ.get("CRASH_SEEDS") or 2)
RECOVERED_WITHIN = 60 if IS_ALONE else 180  # seconds
DYING = 60 if IS_ALONE else 120  # seconds that a step may take to be reached
PARAGRAPHS = 50


def patiently(call: Callable[[], T]) -> T:
    """As a client that is told to come back: 503 while PostgreSQL or Redis starts again. Nothing else is excused."""

    def taken() -> T | None:
        try:
            return call()
        except KnowrithmAPIError as error:
            if error.status_code != 503:
                raise
        except requests.HTTPError as error:
            if error.response.status_code != 503:
                raise
        return None

    return wait_for(taken, seconds=DYING, pause=0.5)


@dataclass
class Wrecker:
    """What a step needs to strike at the right moment: the documents sent so far, and the way to the services."""

    owner: Owner
    agent_id: str
    folder: Path
    seed: random.Random
    database: psycopg.Connection[Any]
    valkey: redis.Redis
    documents: dict[str, str] = field(default_factory=dict)  # id: what was done to it

    def send(self, step: str, content: bytes, extension: str = "txt") -> str:
        name = f"{step}-{self.seed.random()}.{extension}"
        [path] = write_files(self.folder, {name: content})
        [document_id] = patiently(lambda: self.owner.upload(self.agent_id, path))
        self.documents[document_id] = step
        return document_id

    def fetch(self, step: str, url: str) -> str:
        client = self.owner.client
        answer = patiently(lambda: client.documents.upload_documents(self.agent_id, url=url))
        document_id = str(answer["documents"][0]["id"])
        self.documents[document_id] = step
        return document_id

    def await_stage(self, document_id: str, stage: str) -> None:
        def reached() -> bool:
            row = self.database.execute(
                "SELECT stage FROM documents_ingestionjob WHERE document_id = %s AND status = 'processing'",
                [document_id],
            ).fetchone()
            return row is not None and row[0] == stage

        wait_for(reached, seconds=DYING, pause=0.005)

    def await_lock_queue(self) -> None:
        """Until a worker stands in the middle of its last transaction, behind a lock of ours."""
        query = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'documents_lexicalterm'::regclass"
        wait_for(lambda: self.database.execute(query).fetchone(), seconds=DYING, pause=0.01)

    def kill(self) -> None:
        for pid in self.owner.platform.readers():
            os.kill(pid, signal.SIGKILL)

    def spare(self) -> None:
        """On a slow machine one document may be under way at every step: it is not to be given up for that."""
        self.database.execute("UPDATE documents_ingestionjob SET attempts = least(attempts, 1)")

    def pause(self, at_most: float) -> None:
        time.sleep(self.seed.uniform(0, at_most))


def text(seed: random.Random) -> bytes:
    mark = seed.random()
    return "\n\n".join(f"Paragraph {n} of {mark} tells of a pump. " * 10 for n in range(PARAGRAPHS)).encode()


def scan(seed: random.Random) -> bytes:
    """Pages without a text layer."""
    pages = []
    for number in range(6):
        page = Image.new("L", (1240, 600), 255)
        ImageDraw.Draw(page).text((60, 200), f"The code of page {number} is {seed.randrange(10**6)}.", 0, font_size=48)
        pages.append(page)
    out = BytesIO()
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], resolution=150)
    return out.getvalue()


@contextmanager
def locked_terms(wrecker: Wrecker) -> Iterator[None]:
    """Nobody can finish a document inside the block."""
    with wrecker.database.transaction():
        wrecker.database.execute("LOCK TABLE documents_lexicalterm IN EXCLUSIVE MODE")
        yield


# --- The steps ----------------------------------------------------------------------------------------------------


def while_fetching(wrecker: Wrecker) -> None:
    asked = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not asked.is_set():
                asked.set()
                time.sleep(2)
            body = text(wrecker.seed)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    wrecker.fetch("fetch", f"http://127.0.0.1:{server.server_address[1]}/page.txt")
    assert asked.wait(DYING)
    wrecker.pause(1)
    wrecker.kill()


def while_extracting(wrecker: Wrecker) -> None:
    wrecker.await_stage(wrecker.send("extract", text(wrecker.seed)), "extracting")
    wrecker.pause(0.4)
    wrecker.kill()


def while_recognising(wrecker: Wrecker) -> None:
    if shutil.which("tesseract") is None:
        return
    wrecker.await_stage(wrecker.send("ocr", scan(wrecker.seed), "pdf"), "ocr")
    wrecker.pause(0.5)
    wrecker.kill()


def while_embedding(wrecker: Wrecker) -> None:
    wrecker.await_stage(wrecker.send("embed", text(wrecker.seed)), "embedding")
    wrecker.pause(1)
    wrecker.kill()


def before_the_commit(wrecker: Wrecker) -> None:
    with locked_terms(wrecker):
        wrecker.send("save", text(wrecker.seed)[:3000])
        wrecker.await_lock_queue()
        wrecker.pause(0.3)
        wrecker.kill()


def after_the_commit(wrecker: Wrecker) -> None:
    """The worker has committed and cannot tell anybody: Redis does not answer."""
    with locked_terms(wrecker):
        document_id = wrecker.send("commit", text(wrecker.seed)[:3000])
        wrecker.await_lock_queue()
        wrecker.valkey.client_pause(20_000)

    def committed() -> bool:
        query = "SELECT status = 'processed' FROM documents_document WHERE id = %s"
        row = wrecker.database.execute(query, [document_id]).fetchone()
        return bool(row and row[0])

    wait_for(committed, seconds=DYING, pause=0.01)
    wrecker.kill()
    wrecker.valkey.client_unpause()


def flush_of_redis(wrecker: Wrecker) -> None:
    for _ in range(4):
        wrecker.send("flush", text(wrecker.seed)[:3000])
    wrecker.valkey.flushall()


def end_of_redis(wrecker: Wrecker) -> None:
    wrecker.await_stage(wrecker.send("redis", text(wrecker.seed)), "embedding")
    wrecker.pause(0.5)
    os.kill(wrecker.owner.platform.part("valkey").pid, signal.SIGKILL)
    wait_for(lambda: _answers(wrecker.valkey), seconds=DYING)


def restart_of_postgresql(wrecker: Wrecker) -> None:
    wrecker.await_stage(wrecker.send("postgres", text(wrecker.seed)), "embedding")
    wrecker.pause(0.5)
    platform = wrecker.owner.platform
    os.kill(platform.part("bin/postgres").pid, signal.SIGINT)  # "fast": it ends all sessions
    wrecker.database.close()
    wrecker.database = wait_for(lambda: _connected(wrecker.owner), seconds=DYING)
    wait_for(lambda: platform.health() in {"healthy", "degraded"}, seconds=DYING)


STEPS: tuple[Callable[[Wrecker], None], ...] = (
    while_fetching,
    while_extracting,
    while_recognising,
    while_embedding,
    before_the_commit,
    after_the_commit,
    flush_of_redis,
    end_of_redis,
    restart_of_postgresql,
)


def _answers(valkey: redis.Redis) -> bool:
    try:
        return bool(valkey.ping())
    except redis.ConnectionError:
        return False


def _connected(owner: Owner) -> psycopg.Connection[Any] | None:
    """To the company's schema, once PostgreSQL takes connections."""
    folder = owner.platform.data_dir / "postgres"
    port, password = (folder.joinpath(name).read_text().strip() for name in ("port", "password"))
    url = f"postgresql://knowrithm:{password}@127.0.0.1:{port}/knowrithm"
    try:
        connection = psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError:
        return None
    schema = f"c_{owner.company_id.replace('-', '')}"
    connection.execute(f"SET search_path = {schema}, public")
    return connection


@pytest.fixture
def wrecker(platform: Platform, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Wrecker]:
    owner = platform.found_company()
    folder = platform.data_dir / "valkey"
    port, password = (folder.joinpath(name).read_text().strip() for name in ("port", "password"))
    valkey = redis.Redis(port=int(port), password=password)
    database = _connected(owner)
    assert database is not None
    made = Wrecker(owner, owner.create_agent(), tmp_path, random.Random(request.param), database, valkey)
    owner.await_document(made.send("warm-up", b"The first text loads the model."), seconds=120)
    yield made
    made.database.close()
    valkey.close()


@pytest.mark.last(2)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("wrecker", range(SEEDS), indirect=True)
def test_nothing_is_lost_or_doubled_whatever_dies(wrecker: Wrecker) -> None:
    for step in wrecker.seed.sample(STEPS, len(STEPS)):
        wrecker.spare()
        step(wrecker)
    struck = time.monotonic()
    ends = {}
    for document_id, step_name in wrecker.documents.items():
        left = RECOVERED_WITHIN - (time.monotonic() - struck)
        document = patiently(partial(wrecker.owner.await_document, document_id, seconds=max(left, 1)))
        ends[step_name] = document["status"], document["processing_error"]
        assert [chunk["chunk_index"] for chunk in document["chunks"]] == list(range(document["chunk_count"]))
        assert document["chunk_count"] > 0, ends
    assert ends == dict.fromkeys(wrecker.documents.values(), ("processed", ""))
    counts = (
        "SELECT chunk_count, (SELECT count(*) FROM documents_documentchunk) FROM documents_lexicalterm WHERE term = 0"
    )
    counted = wrecker.database.execute(counts).fetchone()
    assert counted is not None
    assert counted[0] == counted[1] > 0
