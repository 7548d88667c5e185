"""The three remote chat models, through their real SDKs, against servers that speak the protocols."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from knowrithm.llm.base import (
    ChatMessage,
    ChatRequest,
    ProviderAuthenticationError,
    ProviderConfig,
    ProviderError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderUnavailableError,
    Usage,
)
from knowrithm.llm.registry import chat_model
from knowrithm.tests.providers import AnthropicServer, GoogleServer, OpenAIServer

pytestmark = pytest.mark.usefixtures("loopback")

KEY = "sk-secret-0123456789"
REQUEST = ChatRequest(
    messages=[
        ChatMessage("system", "Answer from the sources."),
        ChatMessage("user", "Hello"),
        ChatMessage("assistant", "Hi"),
        ChatMessage("user", "How long is the warranty?"),
    ],
    temperature=0.3,
    max_tokens=77,
)
TURNS = [("user", "Hello"), ("assistant", "Hi"), ("user", "How long is the warranty?")]

Server = OpenAIServer | AnthropicServer | GoogleServer
SERVERS: dict[str, type[Server]] = {"openai": OpenAIServer, "anthropic": AnthropicServer, "google": GoogleServer}


@dataclass(frozen=True)
class Provider:
    slug: str
    server: Server

    def config(self, **changes: object) -> ProviderConfig:
        values = {"model": "test-model", "api_key": KEY, "base_url": self.server.base_url, "timeout": 5.0, **changes}
        return ProviderConfig(provider=self.slug, **values)  # type: ignore[arg-type]  # names checked by the class

    def answer(self, **changes: object) -> str:
        return "".join(delta.text for delta in chat_model(self.config(**changes)).stream(REQUEST))

    def failure(self, **changes: object) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            self.answer(**changes)
        return caught.value


@pytest.fixture(params=sorted(SERVERS))
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    with SERVERS[request.param]() as server:
        yield Provider(request.param, server)


def test_answer_is_streamed_word_by_word_with_usage_at_the_end(provider: Provider) -> None:
    provider.server.reply = "Two years,\nfrom “delivery”. [Source 1]"
    deltas = list(chat_model(provider.config()).stream(REQUEST))

    assert [delta.text for delta in deltas[:-1]] == ["Two", " years,", "\nfrom", " “delivery”.", " [Source", " 1]"]
    assert [delta.usage for delta in deltas[:-1]] == [None] * 6
    usage = deltas[-1].usage
    assert usage is not None
    assert (usage.input_tokens > 5, usage.output_tokens) == (True, 6)
    assert deltas[-1].finish_reason == ("end_turn" if provider.slug == "anthropic" else "stop")


def test_first_word_arrives_before_the_answer_is_complete(provider: Provider) -> None:
    provider.server.reply = "one two three"
    provider.server.token_delay = 0.05
    stream = chat_model(provider.config()).stream(REQUEST)
    assert next(stream).text == "one"
    assert not provider.server.disconnected.is_set()
    assert "".join(delta.text for delta in stream) == " two three"


def test_closing_the_stream_closes_the_connection(provider: Provider) -> None:
    provider.server.reply = "word " * 2000
    provider.server.token_delay = 0.005
    stream = chat_model(provider.config()).stream(REQUEST)
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator, behind the protocol's Iterator
    assert provider.server.disconnected.wait(10)


def test_two_streams_of_one_client_interleave_and_close_on_their_own(provider: Provider) -> None:
    provider.server.reply = "one two three four"
    model = chat_model(provider.config())
    first, second = model.stream(REQUEST), model.stream(REQUEST)
    assert [next(first).text, next(second).text, next(first).text] == ["one", "one", " two"]
    first.close()  # type: ignore[attr-defined]  # a generator, behind the protocol's Iterator
    assert "".join(delta.text for delta in second) == " two three four"


def test_connection_is_kept_for_the_next_model_of_the_same_settings(provider: Provider) -> None:
    provider.answer()
    provider.answer()
    first, second = provider.server.requests
    assert first.client == second.client


def test_other_key_uses_another_connection(provider: Provider) -> None:
    provider.answer()
    provider.answer(api_key="another-key-9876543210")
    first, second = provider.server.requests
    assert first.client != second.client
    assert [provider.server.sent_key(request) for request in (first, second)] == [KEY, "another-key-9876543210"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, ProviderRequestError),
        (401, ProviderAuthenticationError),
        (403, ProviderAuthenticationError),
        (404, ProviderRequestError),
        (422, ProviderRequestError),
        (429, ProviderRateLimitedError),
        (500, ProviderUnavailableError),
        (503, ProviderUnavailableError),
        (529, ProviderUnavailableError),
    ],
)
def test_status_becomes_the_error_of_its_kind(provider: Provider, status: int, expected: type[ProviderError]) -> None:
    provider.server.fail(status, "Nothing doing")
    error = provider.failure()
    assert type(error) is expected
    assert str(error).endswith(": Nothing doing.")
    assert len(provider.server.requests) == 1, "the platform retries, not the SDK"


def test_error_message_is_short_and_without_key(provider: Provider) -> None:
    provider.server.fail(400, f"Bad {KEY} " + "x" * 500)
    message = str(provider.failure())
    assert KEY not in message
    assert "[key]" in message
    assert len(message) < 400


def test_call_after_a_failure_succeeds(provider: Provider) -> None:
    provider.server.fail(503, times=1)
    provider.failure()
    assert provider.answer() == "This is the answer. [Source 1]"


def test_wrong_key_is_an_authentication_error(provider: Provider) -> None:
    provider.server.required_key = "another"
    assert type(provider.failure()) is ProviderAuthenticationError


def test_connection_cut_in_the_middle_is_unavailable(provider: Provider) -> None:
    provider.server.cut_after = 2
    stream = chat_model(provider.config()).stream(REQUEST)
    assert [next(stream).text, next(stream).text] == ["This", " is"]
    with pytest.raises(ProviderUnavailableError):
        next(stream)


def test_error_event_inside_the_stream_is_unavailable(provider: Provider) -> None:
    provider.server.stream_error_after = 1
    stream = chat_model(provider.config()).stream(REQUEST)
    assert next(stream).text == "This"
    with pytest.raises(ProviderUnavailableError, match=r"(out of memory|Overloaded|overloaded)\.$"):
        next(stream)


def test_silence_is_unavailable(provider: Provider) -> None:
    provider.server.first_delay = 3.0
    error = provider.failure(timeout=0.2)
    assert type(error) is ProviderUnavailableError
    assert str(error).endswith("did not answer in time.")


def test_refused_connection_is_unavailable(provider: Provider) -> None:
    with type(provider.server)() as gone:
        base_url = gone.base_url
    error = provider.failure(base_url=base_url)
    assert type(error) is ProviderUnavailableError
    assert str(error).endswith("could not be reached.")


def test_unknown_host_is_unavailable(provider: Provider) -> None:
    error = provider.failure(base_url="http://does-not-exist.invalid/v1")
    assert type(error) is ProviderUnavailableError
    assert str(error).endswith("The host name does-not-exist.invalid could not be found.")


def test_private_address_is_refused_for_good(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTBOUND_ALLOW")
    error = provider.failure(timeout=4.0)
    assert type(error) is ProviderRequestError
    assert str(error).endswith(
        "Connections to 127.0.0.1 are not allowed: it is not a public address."
        " Who runs this installation can allow it with OUTBOUND_ALLOW."
    )
    assert provider.server.requests == []


@pytest.mark.parametrize("slug", sorted(SERVERS))
def test_missing_key_is_said_at_once_whatever_the_environment_holds(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "the-platform's-own")
    with pytest.raises(ProviderAuthenticationError, match="needs an API key"):
        chat_model(ProviderConfig(slug, "model"))


def test_openai_request() -> None:
    with OpenAIServer() as server:
        Provider("openai", server).answer(params={"top_p": 0.5})
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.json == {
        "model": "test-model",
        "messages": [{"role": "system", "content": "Answer from the sources."}, *_as_messages()],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 77,
        "temperature": 0.3,
        "top_p": 0.5,
    }


def test_openai_compatible_server_needs_no_key() -> None:
    with OpenAIServer() as server:
        assert Provider("openai", server).answer(api_key="") == "This is the answer. [Source 1]"


def test_openai_stream_without_usage_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutUsage(OpenAIServer):
        def closing_events(self, request: object, words: int) -> Iterator[str]:
            yield 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}\n\n'

    with WithoutUsage() as server:
        last = list(chat_model(Provider("openai", server).config()).stream(REQUEST))[-1]
    assert (last.usage, last.finish_reason) == (Usage(), "length")


@pytest.mark.parametrize(
    ("model", "base_url", "expected"),
    [
        ("gpt-4o-mini", "", {"max_tokens": 77, "temperature": 0.3}),
        ("gpt-5-mini", "", {"max_completion_tokens": 77}),
        ("gpt-6-sol", "", {"max_completion_tokens": 77}),
        ("o3", "https://api.openai.com/v1", {"max_completion_tokens": 77}),
        ("gpt-5-mini", "http://localhost:1234/v1", {"max_tokens": 77, "temperature": 0.3}),
        ("olmo-7b", "", {"max_tokens": 77, "temperature": 0.3}),
    ],
)
def test_openai_parameters_by_model(model: str, base_url: str, expected: dict[str, object]) -> None:
    from knowrithm.llm.providers.openai import sampling_parameters

    assert sampling_parameters(ProviderConfig("openai", model, base_url=base_url), REQUEST) == expected


def test_anthropic_request() -> None:
    with AnthropicServer() as server:
        Provider("anthropic", server).answer(params={"top_k": 5})
    (request,) = server.requests
    assert request.path == "/v1/messages"
    assert request.json == {
        "model": "test-model",
        "system": "Answer from the sources.",
        "messages": _as_messages(),
        "stream": True,
        "max_tokens": 77,
        "top_k": 5,
    }


@pytest.mark.parametrize(
    ("model", "temperature", "expected"),
    [
        ("claude-3-5-sonnet-20241022", 0.3, {"temperature": 0.3}),
        ("claude-sonnet-4-5-20250929", 0.3, {"temperature": 0.3}),
        ("claude-opus-4-20250514", 1.7, {"temperature": 1.0}),
        ("claude-opus-4-6", 0.3, {"temperature": 0.3}),
        ("claude-opus-4-7", 0.3, {}),
        ("claude-haiku-5-5", 0.3, {}),
    ],
)
def test_anthropic_temperature_by_model(model: str, temperature: float, expected: dict[str, object]) -> None:
    from knowrithm.llm.providers.anthropic import body_fields

    request = ChatRequest([ChatMessage("user", "Hello")], temperature=temperature)
    assert body_fields(ProviderConfig("anthropic", model), request) == expected


def test_google_request() -> None:
    with GoogleServer() as server:
        Provider("gemini", server).answer(params={"top_p": 0.5})
    (request,) = server.requests
    assert request.path == "/v1beta/models/test-model:streamGenerateContent?alt=sse"
    assert request.json == {
        "systemInstruction": {"parts": [{"text": "Answer from the sources."}], "role": "user"},
        "contents": [
            {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]} for role, text in TURNS
        ],
        "generationConfig": {"temperature": 0.3, "maxOutputTokens": 77, "topP": 0.5},
    }


def test_google_invalid_key_is_an_authentication_error() -> None:
    with GoogleServer() as server:
        server.fail(400, "API key not valid. Please pass a valid API key.")
        assert type(Provider("google", server).failure()) is ProviderAuthenticationError


def test_google_blocked_prompt_is_a_request_error() -> None:
    class Blocking(GoogleServer):
        def closing_events(self, request: object, words: int) -> Iterator[str]:
            yield 'data: {"promptFeedback": {"blockReason": "SAFETY"}}\r\n\r\n'

    with Blocking(reply="") as server:
        error = Provider("google", server).failure()
    assert type(error) is ProviderRequestError
    assert str(error) == "Google Gemini refused the question (safety)."


def _as_messages() -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in TURNS]
