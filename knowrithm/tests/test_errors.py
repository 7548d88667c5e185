from __future__ import annotations

import pytest
from django.db import DataError, InterfaceError, OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from knowrithm.api.errors import exception_handler


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed"), RedisConnectionError("refused")])
def test_what_restarts_asks_for_another_try(error: Exception) -> None:
    answer = exception_handler(error, {})
    assert answer is not None
    assert (answer.status_code, answer.data["code"], answer["Retry-After"]) == (503, "UNAVAILABLE", "5")
    assert str(error) not in str(answer.data)


def test_a_fault_of_ours_is_called_one() -> None:
    answer = exception_handler(DataError("out of range"), {})
    assert answer is not None
    assert (answer.status_code, answer.data["code"]) == (500, "INTERNAL_ERROR")
