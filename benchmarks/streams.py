"""Many open conversation streams with replies flowing among them: what each costs, and what it does to other calls.

Every stream is a connection of its own to a conversation of its own. The replies are published to Redis as a worker
publishes them, without a model: it is the streams that are measured. A stream ends with its reply, as for every client,
and is opened again at once. The readers run in this process, on the same machine. `BENCH_STREAMS` opens another number.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import statistics
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
import psycopg
import redis.asyncio

from benchmarks.platform import Customer, environment_of, new_customer, running_platform
from benchmarks.report import Row, at_most, percentile
from conversations.streams import DELTA, RESPONSE, STATUS, addition, stream_key

WANTED = int(os.environ.get("BENCH_STREAMS", "10000"))
SPARE = 500  # files that this process needs besides
REPLIES_A_SECOND, SECONDS, PIECES = 20, 30, 10
OPENING = 50  # connections that are made at the same time


@dataclass
class _Crowd:
    address: str
    token: str
    opened: int = 0
    heard: int = 0  # whole replies
    dropped: int = 0  # ended without one
    is_over: bool = False
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPENING))

    async def listen(self, conversation_id: str) -> None:
        last_id = ""  # or a stream that is opened again would tell the reply that has just ended once more
        while True:
            reader, writer = await self._open(conversation_id, last_id)
            self.opened += 1
            has_reply = False
            try:
                async for line in reader:
                    has_reply = has_reply or line.startswith(b"event: chat_response")
                    last_id = line[4:].decode().strip() if line.startswith(b"id: ") else last_id
            except OSError:
                pass
            finally:
                self.opened -= 1
                writer.close()
            if self.is_over:
                return
            if has_reply:
                self.heard += 1
            else:
                self.dropped += 1

    async def _open(self, conversation_id: str, last_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.address)
        async with self.gate:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**14)
            path = f"/api/v1/conversation/{conversation_id}/messages/stream"
            head = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", f"Authorization: Bearer {self.token}"]
            head += [f"Last-Event-ID: {last_id}"] if last_id else []
            writer.write("\r\n".join([*head, "Connection: close", "", ""]).encode())
            status = await reader.readline()
            if b" 200 " not in status:
                raise RuntimeError(f"A stream was not opened: {status!r}")
            return reader, writer


def run() -> list[Row]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(WANTED, hard - SPARE)
    try:
        with running_platform() as address, new_customer(address) as customer:
            return asyncio.run(_measure(address, customer, count))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _measure(address: str, customer: Customer, count: int) -> list[Row]:
    env = environment_of(address)
    schema, conversations = _conversations(env, customer, count)
    web = _web_process(address)
    calls_before = await _other_calls(address, customer, 5)
    memory, threads = web.memory_info().rss, web.num_threads()
    crowd = _Crowd(address, customer.token)
    listening = [asyncio.create_task(crowd.listen(one)) for one in conversations]
    while crowd.opened < count:
        if faults := [task.exception() for task in listening if task.done()]:
            raise RuntimeError(f"{len(faults)} streams could not be opened") from faults[0]
        await asyncio.sleep(0.5)
    await asyncio.sleep(5)
    per_stream = (web.memory_info().rss - memory) / count / 1000
    added_threads = web.num_threads() - threads
    client = redis.asyncio.Redis.from_url(env["REDIS_URL"], decode_responses=True)
    flowing = asyncio.create_task(_replies(client, schema, conversations))
    calls_meanwhile = await _other_calls(address, customer, SECONDS)
    said = await flowing
    await asyncio.sleep(3)
    heard, dropped = crowd.heard, crowd.dropped
    crowd.is_over = True
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    await client.aclose()
    slower = percentile(calls_meanwhile, 0.95) / percentile(calls_before, 0.95)
    return [
        Row("open streams", str(count)),
        Row("replies published", f"{said}, {REPLIES_A_SECOND} a second"),
        Row("heard whole", str(heard), str(said), heard == said),
        Row("dropped", str(dropped), "0", dropped == 0),
        at_most("memory of the web process for each stream", per_stream, 25, "kB"),
        Row("threads added", str(added_threads)),
        Row("another call, p95 before", f"{percentile(calls_before, 0.95) * 1000:.1f} ms"),
        Row("another call, median meanwhile", f"{statistics.median(calls_meanwhile) * 1000:.1f} ms"),
        at_most("another call, p95 meanwhile / before", slower, 2, "times"),
        Row("shared with the platform", "its machine: the readers and who publishes"),
    ]


def _conversations(env: dict[str, str], customer: Customer, count: int) -> tuple[str, list[str]]:
    """The company's schema and new conversations in it, copied from one that the API has made."""
    first = customer.post("/conversation", json={"agent_id": customer.agent_id})["conversation"]["id"]
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as database:
        route = database.execute(
            "SELECT c.schema_name FROM public.tenants_agentroute r JOIN public.tenants_company c ON c.id = r.company_id"
            " WHERE r.agent_id = %s",
            [customer.agent_id],
        ).fetchone()
        assert route is not None  # every agent has one
        schema = str(route[0])
        table = psycopg.sql.Identifier(schema, "conversations_conversation")
        row = database.execute(psycopg.sql.SQL("SELECT to_jsonb(t) FROM {} t WHERE id = %s").format(table), [first])
        found = row.fetchone()
        assert found is not None  # it has just been made
        ids = [str(uuid.uuid4()) for _ in range(count)]
        database.execute(
            psycopg.sql.SQL(
                "INSERT INTO {table} SELECT made.* FROM unnest(%s::text[]) AS new(id),"
                " jsonb_populate_record(NULL::{table}, %s::jsonb || jsonb_build_object('id', new.id)) AS made"
            ).format(table=table),
            [ids, json.dumps(found[0])],
        )
    return schema, ids


async def _replies(client: redis.asyncio.Redis, schema: str, conversations: list[str]) -> int:
    """As `conversations.streams.publish` writes them. Each conversation is answered once at most."""
    chosen = random.sample(conversations, min(len(conversations), REPLIES_A_SECOND * SECONDS))
    started = time.perf_counter()

    async def reply(conversation_id: str) -> None:
        task_id = str(uuid.uuid4())

        async def say(name: str, **data: Any) -> None:
            told = {"conversation_id": conversation_id, "task_id": task_id, **data}
            added: Any = client.eval(*addition(stream_key(schema, conversation_id), name, told))
            await added

        await say(STATUS, status="queued")
        for number in range(PIECES):
            await say(DELTA, text=f"Piece {number} of the answer. ")
            await asyncio.sleep(0.05)
        await say(RESPONSE, status="completed", message={"content": "The answer."})

    pending = []
    for number, conversation_id in enumerate(chosen):
        await asyncio.sleep(max(0.0, started + number / REPLIES_A_SECOND - time.perf_counter()))
        pending.append(asyncio.create_task(reply(conversation_id)))
    await asyncio.gather(*pending)
    return len(chosen)


async def _other_calls(address: str, customer: Customer, seconds: float) -> list[float]:
    """How long each of four calls a second takes."""
    took = []
    headers = {"Authorization": f"Bearer {customer.token}"}
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=60) as http:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            started = time.perf_counter()
            answer = await http.get("/api/v1/agent")
            took.append(time.perf_counter() - started)
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(0.25)
    return took


def _web_process(address: str) -> psutil.Process:
    port = urlsplit(address).port
    for part in psutil.Process().children(recursive=True):
        if "uvicorn" in part.cmdline() and part.environ().get("PORT") == str(port):
            return part
    raise RuntimeError(f"No web process of ours is at {address}.")
