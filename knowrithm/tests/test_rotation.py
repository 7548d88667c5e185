"""rotate_encryption as an operator runs it: a process of its own, on a database of its own, killed half-way."""

from __future__ import annotations

import hashlib
import hmac
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
from knowrithm.db.rotation import BATCH, encrypted_columns

ROOT = Path(__file__).resolve().parents[2]
ROWS = BATCH + 50  # in each of two companies
OLD_SECRET, NEW_SECRET = "the-secret-key-of-before-" * 3, "the-secret-key-of-today-" * 3
OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


@dataclass
class Installation:
    """A copy of the test database, with secrets that the old key has written in both companies."""

    url: str
    connection: psycopg.Connection[Any]
    schemas: list[str]

    def command(self, *arguments: str, keys: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"], "DEBUG": "1", "DATABASE_URL": self.url, "ENCRYPTION_KEY": keys,
            "SECRET_KEY": NEW_SECRET, "SECRET_KEY_FALLBACKS": OLD_SECRET,
        }  # fmt: skip
        argv = [sys.executable, str(ROOT / "manage.py"), "rotate_encryption", *arguments]
        return subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *arguments: str, keys: str) -> tuple[int, list[str]]:
        process = self.command(*arguments, keys=keys)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output.splitlines()

    def run_and_kill(self, table: str, rows: str, *, after: str, keys: str) -> None:
        """The command, killed once it has committed a batch and says so with the words `after`.

        It cannot have finished by then: these rows of the second company's `table` are locked.
        """
        lock = sql.SQL("SELECT 1 FROM {} WHERE {} FOR UPDATE").format(
            sql.Identifier(self.schemas[-1], table), sql.SQL(rows)
        )
        with self.connection.transaction():
            self.connection.execute(lock)
            process = self.command(keys=keys)
            assert process.stdout is not None
            while after not in process.stdout.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)

    def tokens(self) -> list[str]:
        found: list[str] = []
        for schema in self.schemas:
            query = sql.SQL("SELECT llm_api_key FROM {}.agents_llmsettings WHERE llm_api_key <> '' ORDER BY name")
            found += [row[0] for row in self.connection.execute(query.format(sql.Identifier(schema)))]
        return found

    def indexes(self) -> list[tuple[str, str, str]]:
        """Of every lead the schema, the number in its address, and the blind index."""
        found: list[tuple[str, str, str]] = []
        for schema in self.schemas:
            query = sql.SQL("SELECT first_name, email_hash FROM {}.leads_lead ORDER BY first_name")
            rows = self.connection.execute(query.format(sql.Identifier(schema)))
            found += [(schema, row[0], row[1]) for row in rows]
        return found

    def store_leads(self, schema: str) -> None:
        """Leads that the old SECRET_KEY has indexed: one in two encrypted, under the encryption key of before."""
        cipher = Fernet(OLD)
        query = sql.SQL(
            "INSERT INTO {}.leads_lead (id, created_at, updated_at, agent_id, first_name, last_name, email, "
            "email_hash, phone, source, notes, status, consent_marketing, consent_data_processing, user_agent, "
            "last_activity, phone_hash, tags, metadata, custom_fields, is_nameless, score_revision) "
            "SELECT gen_random_uuid(), now(), now(), id, %s, '', %s, %s, '', '', '', 'new', false, true, '', now(), "
            "'', '[]', '{{}}', '{{}}', false, 0 "
            "FROM {}.agents_agent LIMIT 1"
        ).format(*[sql.Identifier(schema)] * 2)
        rows = []
        for number in range(ROWS):
            email = address(number)
            stored = cipher.encrypt(email.encode()).decode() if number % 2 else email
            rows.append((f"{number:05}", stored, index_under(OLD_SECRET, schema, number)))
        with self.connection.cursor() as cursor:
            cursor.executemany(query, rows)

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


def address(number: int) -> str:
    return f"Visitor-{number:05}@example.org"


def index_under(secret: str, schema: str, number: int) -> str:
    text = f"lead-email:{schema}:{address(number).lower()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


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
    installation.run_and_kill("agents_llmsettings", "true", after="llm_api_key", keys=f"{NEW},{OLD}")

    done = opened_by(NEW, installation.tokens())
    assert 0 < done < everything
    assert done + opened_by(OLD, installation.tokens()) == everything

    status, output = installation.run(keys=f"{NEW},{OLD}")
    assert status == 0
    assert output[-2:] == [
        f"{everything - done} values re-encrypted, {done} were under the first key already.",
        "The first key opens everything: older ones may be taken from ENCRYPTION_KEY.",
    ]
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


def test_blind_indexes_are_rebuilt_even_when_killed_half_way(installation: Installation) -> None:
    for schema in installation.schemas:
        installation.store_leads(schema)
    everything = 2 * ROWS
    status, output = installation.run("--check", keys=f"{NEW},{OLD}")
    values = everything + ROWS  # the settings', and half of the addresses
    assert (status, output[-2:]) == (
        1,
        [
            f"{everything} of {everything} blind indexes rest on an older SECRET_KEY.",
            f"{values} of {values} values rest on older keys.",
        ],
    )

    plain = "email LIKE 'Visitor-%'"  # the others are written before any index is
    installation.run_and_kill("leads_lead", plain, after="leads_lead.email_hash", keys=f"{NEW},{OLD}")

    def done() -> int:
        found = installation.indexes()
        new = [index_under(NEW_SECRET, schema, int(number)) for schema, number, _ in found]
        old = [index_under(OLD_SECRET, schema, int(number)) for schema, number, _ in found]
        is_new = [row[2] == expected for row, expected in zip(found, new, strict=True)]
        assert all(row[2] == expected for row, expected, isnt in zip(found, old, is_new, strict=True) if not isnt)
        return sum(is_new)

    half = done()
    assert 0 < half < everything
    status, output = installation.run(keys=f"{NEW},{OLD}")
    assert (status, output[-3]) == (
        0,
        f"{everything - half} blind indexes rebuilt, {half} were under SECRET_KEY already.",
    )
    assert done() == everything
    assert installation.run("--check", keys=NEW)[0] == 0


def test_a_lead_that_stands_there_twice_is_left_and_told_of(installation: Installation) -> None:
    """A process that did not know the new key yet has registered the same visitor anew."""
    schema = installation.schemas[0]
    installation.store_leads(schema)
    twin = sql.SQL(
        "UPDATE {table} SET email = %s, email_hash = %s WHERE first_name = '00000'"
    ).format(table=sql.Identifier(schema, "leads_lead"))  # fmt: skip
    installation.connection.execute(twin, (address(2), index_under(NEW_SECRET, schema, 2)))
    status, output = installation.run(keys=f"{NEW},{OLD}")
    assert status == 0
    assert output[-4:-2] == [
        f"{ROWS - 2} blind indexes rebuilt, 1 were under SECRET_KEY already.",
        "1 blind indexes were left: a newer row has the same value.",
    ]
    assert installation.indexes()[2] == (schema, "00002", index_under(OLD_SECRET, schema, 2))


@pytest.mark.django_db
def test_every_encrypted_field_of_every_schema_is_found() -> None:
    found = {(column.schema.startswith("c_"), column.model.__name__, column.field) for column in encrypted_columns()}
    assert {(True, "LLMSettings", "llm_api_key"), (True, "LLMSettings", "embedding_api_key")} <= found
    assert len({column.schema for column in encrypted_columns() if column.field == "llm_api_key"}) == 2
