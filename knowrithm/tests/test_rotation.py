"""rotate_encryption as an operator runs it: a process of its own, on a database of its own, killed half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.db import connection
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker

from agents.models import LLMSettings
from knowrithm.db.rotation import encrypted_columns

ROOT = Path(__file__).resolve().parents[2]
ROWS = 1500  # in each of two companies
OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


@dataclass
class Installation:
    """A copy of the test database, with secrets that the old key has written in both companies."""

    url: str
    connection: psycopg.Connection[Any]
    schemas: list[str]

    def command(self, *arguments: str, keys: str) -> subprocess.Popen[str]:
        environment = {"PATH": os.environ["PATH"], "DEBUG": "1", "DATABASE_URL": self.url, "ENCRYPTION_KEY": keys}
        argv = [sys.executable, str(ROOT / "manage.py"), "rotate_encryption", *arguments]
        return subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *arguments: str, keys: str) -> tuple[int, list[str]]:
        process = self.command(*arguments, keys=keys)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output.splitlines()

    def tokens(self) -> list[str]:
        found: list[str] = []
        for schema in self.schemas:
            query = sql.SQL("SELECT llm_api_key FROM {}.agents_llmsettings WHERE llm_api_key <> '' ORDER BY name")
            found += [row[0] for row in self.connection.execute(query.format(sql.Identifier(schema)))]
        return found

    def store(self, schema: str, tokens: list[str]) -> None:
        """A row of settings for each token, otherwise like the company's own."""
        names = [str(field.column) for field in LLMSettings._meta.concrete_fields]
        changed = {"id": "gen_random_uuid()", "name": "%s", "llm_api_key": "%s", "is_default": "false"}
        values = [sql.SQL(changed[name]) if name in changed else sql.Identifier(name) for name in names]
        query = sql.SQL("INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE is_default").format(
            table=sql.Identifier(schema, "agents_llmsettings"),
            columns=sql.SQL(", ").join([sql.Identifier(name) for name in names]),
            values=sql.Composed(values).join(", "),
        )
        with self.connection.cursor() as cursor:
            ordered = ("name", "llm_api_key")
            assert [name for name in names if name in ordered] == list(ordered)
            cursor.executemany(query, [(f"{number:05}", token) for number, token in enumerate(tokens)])


@pytest.fixture
def installation(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Installation]:
    with django_db_blocker.unblock():
        database = connection.settings_dict
        connection.close()  # a database is copied only while nobody is connected to it
    name = f"{database['NAME']}_rotation"
    server = f"postgresql://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        admin.execute(copy.format(sql.Identifier(name), sql.Identifier(str(database["NAME"]))))
        try:
            with psycopg.connect(f"{server}/{name}", autocommit=True) as own:
                schemas = [row[0] for row in own.execute("SELECT schema_name FROM tenants_company ORDER BY 1")]
                made = Installation(f"{server}/{name}", own, schemas)
                writer = Fernet(OLD)
                for schema in schemas:
                    made.store(schema, [writer.encrypt(f"{schema} {n}".encode()).decode() for n in range(ROWS)])
                yield made
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def opened_by(key: str, tokens: list[str]) -> int:
    cipher = Fernet(key)

    def opens(token: str) -> bool:
        try:
            cipher.decrypt(token)
        except Exception:
            return False
        return True

    return sum(map(opens, tokens))


def test_killed_half_way_and_run_again(installation: Installation) -> None:
    everything = 2 * ROWS
    assert installation.run("--check", keys=f"{NEW},{OLD}")[1][-1] == f"{everything} of {everything} values rest on " \
        "older keys."  # fmt: skip

    process = installation.command(keys=f"{NEW},{OLD}")
    assert process.stdout is not None
    process.stdout.readline()  # the first batch is committed
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)

    done = opened_by(NEW, installation.tokens())
    assert 0 < done < everything
    assert done + opened_by(OLD, installation.tokens()) == everything

    status, output = installation.run(keys=f"{NEW},{OLD}")
    assert status == 0
    assert output[-2:] == [
        f"{everything - done} values re-encrypted, {done} were under the first key already.",
        "The first key opens everything: older ones may be taken from ENCRYPTION_KEY.",
    ]
    assert installation.run("--check", keys=NEW)[0] == 0
    cipher = Fernet(NEW)
    expected = [f"{schema} {number}" for schema in installation.schemas for number in range(ROWS)]
    assert [cipher.decrypt(token).decode() for token in installation.tokens()] == expected


def test_a_value_whose_key_is_missing_is_reported_and_left(installation: Installation) -> None:
    lost = Fernet(LOST).encrypt(b"lost").decode()
    installation.store(installation.schemas[0], [lost])
    status, output = installation.run(keys=f"{NEW},{OLD}")
    assert status == 1
    assert output[-1] == "1 values cannot be read: add the key that wrote them to ENCRYPTION_KEY."
    assert lost in installation.tokens()
    assert opened_by(NEW, installation.tokens()) == 2 * ROWS


@pytest.mark.django_db
def test_every_encrypted_field_of_every_schema_is_found() -> None:
    found = {(column.schema.startswith("c_"), column.model.__name__, column.field) for column in encrypted_columns()}
    assert {(True, "LLMSettings", "llm_api_key"), (True, "LLMSettings", "embedding_api_key")} <= found
    assert len({column.schema for column in encrypted_columns() if column.field == "llm_api_key"}) == 2
