"""The first token through the whole platform, against the same model asked directly.

The stream is open before the question is asked, as a chat page has it: its own opening pause is not part of an answer.
"""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import openai

from benchmarks.platform import Customer, Json, cpu_by_part, new_customer, running_platform
from benchmarks.report import Row, at_most, cpu_each, milliseconds, percentile
from benchmarks.words import prose
from knowrithm.tests.providers import OpenAIServer

ROUNDS, WARM_UP = 40, 5
FIRST_DELAY, TOKEN_DELAY = 0.05, 0.002  # seconds, of the model
# Of one that is fast, though not faster than any: 30 ms of delay are within 1.06 of half a second at the least.
USUAL_ROUNDS, USUAL_TOKEN_DELAY = 10, 0.005
REPLY = " ".join(["The warranty lasts two years.", *["It covers all parts and labour."] * 30, "[Source 1]"])
FACT = "The warranty of the X200 pump lasts two years from the date of purchase."
QUESTION = "My order is number {}. How long does the warranty of the X200 pump last?"  # nobody asks the same


@dataclass(slots=True)
class _Arrivals:
    """When the model was asked, by its own clock, which is ours: it runs in this process."""

    last: float = 0.0

    def reply(self, request: Json) -> str:
        self.last = time.perf_counter()
        return REPLY


@dataclass(frozen=True, slots=True)
class _Times:
    """Moments of one turn, in seconds since the question was sent."""

    accepted: float
    begun: float  # a worker has it
    asked: float  # the model has it
    first: float
    end: float


@dataclass(slots=True)
class _Listener:
    """What a conversation's stream says, with the moment of each event."""

    events: list[tuple[str, Json, float]] = field(default_factory=list)
    said: threading.Condition = field(default_factory=threading.Condition)

    def read(self, response: httpx2.Response) -> None:
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                now = time.perf_counter()
                with self.said:
                    self.events.append((name, json.loads(line.removeprefix("data: ")), now))
                    self.said.notify()

    def moment(self, name: str, **fields: str) -> float:
        """When the first such event came; waits for it."""

        def found() -> float | None:
            return next((at for kind, data, at in self.events if kind == name and fields.items() <= data.items()), None)

        with self.said:
            moment = self.said.wait_for(found, timeout=30)
        if moment is None:
            raise RuntimeError(f"No {name} came: {self.events}")
        return moment


def run() -> list[Row]:
    arrivals = _Arrivals()
    model = OpenAIServer(reply=arrivals.reply, first_delay=FIRST_DELAY, token_delay=TOKEN_DELAY)
    with model, running_platform() as address, _customer(address, model) as customer:
        client = openai.OpenAI(api_key="none", base_url=model.base_url)
        turns: list[_Times] = []
        direct: list[tuple[float, float]] = []
        for number in range(WARM_UP + ROUNDS):
            if number == WARM_UP:
                before = cpu_by_part()
            turn = _through_platform(customer, arrivals)
            answer = _direct(client, model.requests[-1].json["messages"])
            if number >= WARM_UP:
                turns.append(turn)
                direct.append(answer)
        used = cpu_each(before, cpu_by_part(), ROUNDS)
        model.token_delay = USUAL_TOKEN_DELAY
        usual = [_through_platform(customer, arrivals).end for _ in range(USUAL_ROUNDS)]
        messages = model.requests[-1].json["messages"]
        usual_direct = [_direct(client, messages)[1] for _ in range(USUAL_ROUNDS)]
    first, direct_first = [turn.first for turn in turns], [first for first, _ in direct]
    overhead = (statistics.median(first) - statistics.median(direct_first)) * 1000
    worst = (percentile(first, 0.95) - percentile(direct_first, 0.95)) * 1000
    short = statistics.median(turn.end for turn in turns) / statistics.median(end for _, end in direct)
    total = statistics.median(usual) / statistics.median(usual_direct)
    return [
        Row("first token, asked directly", milliseconds(direct_first)),
        Row("first token, through the platform", milliseconds(first)),
        at_most("added by the platform, median", overhead, 30, "ms"),
        at_most("added by the platform, p95", worst, 80, "ms"),
        Row("… until the question is accepted (202)", milliseconds([turn.accepted for turn in turns])),
        Row("… until a worker has it", milliseconds([turn.begun for turn in turns])),
        Row("… from there until the model is asked", milliseconds([turn.asked - turn.begun for turn in turns])),
        Row("… from there to the first token seen", milliseconds([turn.first - turn.asked for turn in turns])),
        Row("whole answer in a second, directly", milliseconds(usual_direct)),
        at_most("… through the platform / direct", total, 1.06, "×"),
        Row("the same words in a third of a second, platform / direct", f"{short:.3f} ×"),
        Row("processor for one turn, its stream included", used),
    ]


@contextmanager
def _customer(address: str, model: OpenAIServer) -> Iterator[Customer]:
    choices = {"llm_provider": "openai", "llm_model": "gpt-4o-mini"}
    with new_customer(address, **choices, llm_api_key="none", llm_api_base_url=model.base_url) as customer:
        for number in range(5):
            customer.await_processed(customer.upload(f"file-{number}.txt", prose(20_000, random.Random(number))))
        customer.await_processed(customer.upload("warranty.txt", FACT))
        yield customer


def _through_platform(customer: Customer, arrivals: _Arrivals) -> _Times:
    conversation = customer.post("/conversation", json={"agent_id": customer.agent_id})["conversation"]["id"]
    with customer.http.stream("GET", f"/conversation/{conversation}/messages/stream") as response:
        listener = _Listener()
        reader = threading.Thread(target=listener.read, args=(response,), daemon=True)
        reader.start()
        time.sleep(0.3)  # the stream opens with a pause
        started = time.perf_counter()
        customer.post(
            f"/conversation/{conversation}/chat", json={"message": QUESTION.format(time.time_ns() % 1_000_000)}
        )
        accepted = time.perf_counter()
        end = listener.moment("chat_response")
        moments = (
            accepted,
            listener.moment("chat_status", status="in_progress"),
            arrivals.last,
            listener.moment("chat_delta"),
            end,
        )
        reader.join(30)  # the stream ends with the turn
    return _Times(*(moment - started for moment in moments))


def _direct(client: openai.OpenAI, messages: list[Json]) -> tuple[float, float]:
    """Seconds to the first word and to the end, for the very prompt that the platform sent."""
    started = time.perf_counter()
    first = 0.0
    typed: list[openai.types.chat.ChatCompletionMessageParam] = messages  # type: ignore[assignment]  # as recorded
    for chunk in client.chat.completions.create(model="gpt-4o-mini", messages=typed, stream=True):
        if not first and chunk.choices and chunk.choices[0].delta.content:
            first = time.perf_counter() - started
    return first, time.perf_counter() - started
