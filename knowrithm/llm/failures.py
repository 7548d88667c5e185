"""Provider failures as sentences: what an SDK raised becomes a `ProviderError` that a company's admin can act on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from knowrithm.llm.base import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderUnavailableError,
)
from knowrithm.net.policy import OutboundError, OutboundRefusedError

MAX_PROVIDER_MESSAGE = 300
_KEY_SHAPE = re.compile(r"\b(?:sk-|AIza|gsk_|xai-)[\w*-]{6,}")
_PASSING_STATUSES = frozenset({408, 409, 425})


def status_error(*, label: str, status: int, body: object, api_key: str) -> ProviderError:
    """The error for an HTTP status of 400 or more; `body` is what the provider answered, decoded or not."""
    said = _without_keys(_message(body), api_key)
    if status in (401, 403):
        return ProviderAuthenticationError(_sentence(f"{label} refused the API key", said))
    if status == 429:
        return ProviderRateLimitedError(_sentence(f"{label} asks to send fewer requests", said))
    if status >= 500 or status in _PASSING_STATUSES:
        return ProviderUnavailableError(_sentence(f"{label} is not available at the moment (status {status})", said))
    return ProviderRequestError(_sentence(f"{label} refused the request", said))


def connection_error(*, label: str, error: BaseException) -> ProviderError:
    """The error for a call that got no complete answer, told by the exceptions behind `error`."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OutboundError):
            # A name that does not resolve now may do so later; what the policy forbids stays forbidden.
            kind = ProviderRequestError if isinstance(cause, OutboundRefusedError) else ProviderUnavailableError
            return kind(_sentence(f"{label} could not be reached", str(cause)))
    if any("Timeout" in type(cause).__name__ for cause in causes):
        return ProviderUnavailableError(f"{label} did not answer in time.")
    if any(type(cause).__name__ == "ConnectError" for cause in causes):
        return ProviderUnavailableError(f"{label} could not be reached.")
    return broken_answer(label=label)


def broken_answer(*, label: str) -> ProviderError:
    """The answer stopped before its end, or was none of the protocol."""
    return ProviderUnavailableError(f"The answer of {label} broke off.")


def missing_key(*, label: str) -> ProviderError:
    return ProviderAuthenticationError(f"{label} needs an API key; none is set.")


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in causes:
        causes.append(current)
        current = current.__cause__ or current.__context__
    return causes


def _message(body: object) -> str:
    """The provider's own words in the shapes in use: `{"error": {"message"}}`, `{"message"}`, `{"detail"}`, text."""
    if isinstance(body, list) and body:
        return _message(body[0])
    if isinstance(body, Mapping):
        for name in ("error", "message", "detail"):
            if body.get(name):
                return _message(body[name])
        return ""
    return body if isinstance(body, str) else ""


def _without_keys(text: str, api_key: str) -> str:
    if api_key:
        text = text.replace(api_key, "[key]")
    return _KEY_SHAPE.sub("[key]", text)


def _sentence(fact: str, said: str) -> str:
    said = " ".join(said.split())
    if len(said) > MAX_PROVIDER_MESSAGE:
        said = said[: MAX_PROVIDER_MESSAGE - 1].rstrip() + "…"
    if not said:
        return f"{fact}."
    return f"{fact}: {said}" if said.endswith((".", "!", "?", "…")) else f"{fact}: {said}."
