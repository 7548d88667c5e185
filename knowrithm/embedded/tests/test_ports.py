from __future__ import annotations

import socket
from pathlib import Path

from knowrithm.embedded.ports import LOOPBACK, accepts, is_free, remembered


def test_port_is_remembered_while_it_is_free_and_chosen_anew_when_taken(tmp_path: Path) -> None:
    note = tmp_path / "port"

    port = remembered(note)
    assert remembered(note) == port

    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
        assert accepts(port)
        fresh = remembered(note)

    assert fresh != port
    assert int(note.read_text()) == fresh
    assert is_free(port)
    assert not accepts(port)
