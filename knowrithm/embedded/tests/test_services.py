"""The real PostgreSQL and Valkey, started as `make services` and `make test` start them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from knowrithm.embedded.placement import SHARED_HOME, home_of, unprivileged_account
from knowrithm.embedded.stack import Services
from knowrithm.embedded.tests.program import LAUNCHER, PATIENCE, Program, is_gone, program

pytestmark = [pytest.mark.timeout(90), pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

T = TypeVar("T")
NO_RETRIES = Retry(NoBackoff(), 0)  # the client's own ones take seconds


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that root's PostgreSQL, another user, can pass through; pytest's own ones are closed."""
    with tempfile.TemporaryDirectory(prefix="knowrithm-embedded-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def empty() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """The data folder of the tests that start and stop; each finds it stopped and leaves it so."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """Services for the tests that only use them."""
    with open_folder() as folder, services(folder) as started:
        yield started


@dataclass(frozen=True)
class Running:
    program: Program
    exports: dict[str, str]

    @property
    def data_dir(self) -> Path:
        return Path(self.exports["DATA_DIR"])

    @property
    def database(self) -> str:
        return self.exports["DATABASE_URL"]

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.exports["REDIS_URL"], retry=NO_RETRIES)


@contextmanager
def services(data_dir: Path) -> Iterator[Running]:
    """`make services` on `data_dir`, once it has printed its addresses."""
    with program([*LAUNCHER, "services"], env={"DATA_DIR": str(data_dir)}) as launcher:
        exports: dict[str, str] = {}
        while "DATA_DIR" not in exports:
            name, value = launcher.wait_for_line("export ").removeprefix("export ").rstrip().split("=", 1)
            exports[name] = value.strip("'")
        yield Running(launcher, exports)


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def eventually(ask: Callable[[], T]) -> T:
    """The first answer of a server that is coming back."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (psycopg.OperationalError, redis.ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres/home/cluster/postmaster.pid").read_text().splitlines()[0])


def valkey_pid(connection: redis.Redis) -> int:
    return int(connection.info("server")["process_id"])  # type: ignore[index]  # the stubs allow an async answer


def test_second_start_takes_the_same_data_up_and_a_stop_leaves_no_process(data_dir: Path) -> None:
    with services(data_dir) as first:
        with psycopg.connect(first.database) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("CREATE TABLE kept AS SELECT '[3,4]'::vector AS place")
        with first.redis as valkey:
            valkey.set("kept", "yes")
            pids = [postmaster(data_dir), valkey_pid(valkey)]
        assert first.program.stop(signal.SIGINT) == 0
    assert [is_gone(pid) for pid in pids] == [True, True]

    with services(data_dir) as second:
        assert second.exports == first.exports
        assert rows(second.database, "SELECT place <-> '[0,0]' FROM kept") == [(5.0,)]
        with second.redis as valkey:
            assert valkey.get("kept") == b"yes"


def test_unusable_data_folder_is_said_in_a_sentence(empty: Path) -> None:
    file = empty / "file"
    file.touch()
    with program([*LAUNCHER, "run"], env={"DATA_DIR": str(file)}) as launcher:
        assert launcher.rest() == [f"The data folder {file} cannot be used: Not a directory."]
        assert launcher.process.wait() == 1


def test_note_of_a_server_that_is_gone_does_not_stop_the_start(data_dir: Path) -> None:
    with services(data_dir):
        note = (data_dir / "postgres/home/cluster/postmaster.pid").read_text().splitlines()
    # After a restart of the machine the id in the note may be anybody's: here it is ours, which lives.
    (data_dir / "postgres/home/cluster/postmaster.pid").write_text("\n".join([str(os.getpid()), *note[1:], ""]))

    with services(data_dir) as again:
        assert rows(again.database, "SELECT 1") == [(1,)]


def test_killed_launcher_leaves_the_data_free_for_the_next(data_dir: Path) -> None:
    with services(data_dir) as killed:
        server = postmaster(data_dir)
        killed.program.stop(signal.SIGKILL)
        with services(data_dir) as again:
            assert rows(again.database, "SELECT 1") == [(1,)]
    assert is_gone(server)


def test_data_of_another_version_are_refused(data_dir: Path) -> None:
    with services(data_dir):
        pass
    cluster = data_dir / "postgres/home/cluster"
    version = (cluster / "PG_VERSION").read_text()
    (cluster / "PG_VERSION").write_text("17\n")
    try:
        with program([*LAUNCHER, "services"], env={"DATA_DIR": str(data_dir)}) as launcher:
            assert launcher.rest() == [
                f"The data in {cluster} are of PostgreSQL 17, the installed one is 18: "
                "dump them with the old version, or choose another DATA_DIR."
            ]
    finally:
        (cluster / "PG_VERSION").write_text(version)


def test_nobody_gets_in_without_the_password_or_from_elsewhere(running: Running) -> None:
    password = running.database.split(":")[2].partition("@")[0]
    for wrong in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError, match=r"no password supplied|password authentication failed"):
            psycopg.connect(running.database.replace(password, wrong))
    port = int(running.exports["REDIS_URL"].rpartition(":")[2].removesuffix("/0"))
    with redis.Redis(port=port, retry=NO_RETRIES) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with running.redis as valkey:
        assert valkey.config_get("bind") == {"bind": "127.0.0.1"}
    settings = "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
    assert rows(running.database, settings) == [("127.0.0.1", "")]


def test_passwords_are_only_in_files_of_their_owner(running: Running) -> None:
    with running.redis as valkey:
        pids = [postmaster(running.data_dir), valkey_pid(valkey)]
    command_lines = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)
    passwords = [(running.data_dir / name / "password").read_bytes().strip() for name in ("postgres", "valkey")]
    names = {"password", "secrets.env", "valkey.conf"}
    modes = {str(path.relative_to(running.data_dir)): path.stat().st_mode & 0o777
             for path in running.data_dir.rglob("*") if path.name in names}  # fmt: skip

    assert [password in command_lines for password in passwords] == [False, False]
    assert modes == {
        "secrets.env": 0o600,
        "postgres/password": 0o600,
        "valkey/password": 0o600,
        "valkey/valkey.conf": 0o600,
    }


def test_server_is_set_up_for_many_companies_and_keeps_what_it_confirmed(running: Running) -> None:
    names = ("fsync", "synchronous_commit", "max_connections", "max_locks_per_transaction", "server_encoding")
    query = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    assert rows(running.database, query) == [("on", "on", "200", "256", "UTF8")]
    with running.redis as valkey:
        assert valkey.config_get("appendonly") == {"appendonly": "yes"}


def test_second_launcher_on_the_same_data_says_who_has_it(running: Running) -> None:
    with program([*LAUNCHER, "run"], env={"DATA_DIR": str(running.data_dir)}) as other:
        holder = running.program.process.pid
        assert other.rest() == [f"Already running on {running.data_dir}: the services only (process {holder})."]
        assert other.process.wait() == 1


def test_killed_server_comes_back_with_its_data(running: Running) -> None:
    with psycopg.connect(running.database) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    with running.redis as valkey:
        valkey.set("kept", "yes")
        valkey.waitaof(1, 0, 5000)
        os.kill(valkey_pid(valkey), signal.SIGKILL)
    os.kill(postmaster(running.data_dir), signal.SIGKILL)

    ends = {running.program.wait_for_line("it restarts in").split()[2] for _ in range(2)}
    assert ends == {"postgres", "valkey"}
    assert eventually(lambda: rows(running.database, "SELECT number FROM kept")) == [(7,)]
    with running.redis as valkey:
        assert eventually(lambda: valkey.get("kept")) == b"yes"


def test_taken_port_is_said_before_anything_starts(empty: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with program([*LAUNCHER, "run"], env={"DATA_DIR": str(empty), "PORT": str(port)}) as launcher:
            assert launcher.rest() == [
                f"Port {port} is taken by another program. Choose another: make run PORT={port + 1}"
            ]
            assert launcher.process.wait() == 1
    assert [path.name for path in empty.iterdir()] == ["lock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another user")
def test_cluster_out_of_the_accounts_reach_lies_in_the_shared_place(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with services(tmp_path) as running:
        assert rows(running.database, "SELECT 1") == [(1,)]
    home = Path((tmp_path / "postgres/location").read_text().strip())
    try:
        assert home.parent == SHARED_HOME
        assert home.stat().st_mode & 0o777 == 0o700
        assert home_of(tmp_path / "postgres", unprivileged_account()) == home
    finally:
        shutil.rmtree(home)


def test_addresses_in_the_environment_leave_nothing_to_embed(empty: Path) -> None:
    env = {"DATABASE_URL": "postgresql://db.example/knowrithm", "REDIS_URL": "redis://redis.example"}

    assert Services.prepare(empty, env=env) == Services(postgres=None, valkey=None)
    assert list(empty.iterdir()) == []


def test_command_beside_throw_away_services(empty: Path) -> None:
    code = """
import os, psycopg, redis
with psycopg.connect(os.environ["DATABASE_URL"]) as connection, redis.Redis.from_url(os.environ["REDIS_URL"]) as valkey:
    print(connection.execute("SHOW fsync").fetchone()[0], valkey.ping(), "CELERY_BROKER_URL" in os.environ)
print(os.environ["DATA_DIR"])
raise SystemExit(5)
"""
    outside = {"DATABASE_URL": "postgresql://db.example/live", "CELERY_BROKER_URL": "redis://redis.example"}
    env = {**outside, "TMPDIR": str(empty)}
    with program([*LAUNCHER, "test", "--", sys.executable, "-c", code], env=env) as launcher:
        answers, folder = launcher.rest()
        assert launcher.process.wait() == 5

    assert answers == "off True False"
    assert Path(folder).parent == empty
    assert list(empty.iterdir()) == []
