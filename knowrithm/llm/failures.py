"""Provider failures as sentences: what an SDK raised becomes a `ProviderError` that a company's admin can act on."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from knowrithm.llm.base import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderUnavailableError,
)
from knowrithm.net.outbound import OutboundError, OutboundLimitError, OutboundRefusedError

MAX_PROVIDER_MESSAGE = 300
# What an SDK, or we, run into when an answer is none of the protocol: fields of other types, or none at all.
MALFORMED = (ValueError, TypeError, AttributeError, LookupError)
_KEY_SHAPE = re.compile(r"\b(?:sk-|AIza|gsk_|xai-)[\w*-]{6,}")
_RETRY_DELAY = re.compile(r"retryDelay\W+(\d+(?:\.\d+)?)s")
_PASSING_STATUSES = frozenset({408, 409, 425})


def status_error(
    *, label: str, status: int, body: object, api_key: str, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """The error for an HTTP status of 400 or more; `body` is what the provider answered, decoded or not."""
    wait = _retry_after(headers or {}, body)
    error = _status_error(label, status, _without_keys(_message(body), api_key), wait)
    error.retry_after = wait
    return error


def _status_error(label: str, status: int, said: str, wait: float | None) -> ProviderError:
    if status in (401, 403):
        return ProviderAuthenticationError(_sentence(f"{label} refused the API key", said))
    if status == 429:
        when = f" and to wait {_in_words(wait)}" if wait else ""
        return ProviderRateLimitedError(_sentence(f"{label} asks to send fewer requests{when}", said))
    if status >= 500 or status in _PASSING_STATUSES:
        return ProviderUnavailableError(_sentence(f"{label} is not available at the moment (status {status})", said))
    return ProviderRequestError(_sentence(f"{label} refused the request", said))


def connection_error(*, label: str, error: BaseException) -> ProviderError:
    """The error for a call that got no complete answer, told by the exceptions behind `error`."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OutboundLimitError):
            return ProviderUnavailableError(_sentence(f"{label} was cut off", str(cause)))
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
    return ProviderUnavailableError(f"{label} sent something that is no answer of a model, or its answer broke off.")


def missing_key(*, label: str) -> ProviderError:
    return ProviderAuthenticationError(f"{label} needs an API key; none is set.")


def _retry_after(headers: Mapping[str, str], body: object) -> float | None:
    """Seconds to wait, from `Retry-After` (seconds or a date) or from the `retryDelay` of Google's error details."""
    given = (headers.get("retry-after") or "").strip()
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError):
        pass
    found = _RETRY_DELAY.search(str(body))
    return float(found.group(1)) if found else None


def _in_words(seconds: float) -> str:
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length):,} {unit}s"
    whole = math.ceil(seconds)
    return "a second" if whole == 1 else f"{whole} seconds"


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
