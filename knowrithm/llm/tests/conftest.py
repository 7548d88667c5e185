import pytest


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider servers of the tests live on a private address."""
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
