"""`python -m knowrithm.embedded run | services | test -- COMMAND`: the door that the Makefile uses."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from knowrithm.embedded.credentials import platform_secrets, write_private
from knowrithm.embedded.errors import EmbeddedError
from knowrithm.embedded.ports import is_free
from knowrithm.embedded.stack import (
    DATABASE_VARIABLES,
    REDIS_VARIABLES,
    SENTENCES,
    Services,
    application_parts,
    only_one,
)
from knowrithm.embedded.supervisor import Interrupted, Shows, Supervisor, describe_exit

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 8543
# Whatever could lead a test to data that are not its own.
ADDRESS_VARIABLES = {
    *DATABASE_VARIABLES,
    *REDIS_VARIABLES,
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
    "UPLOAD_FOLDER",
}
DEFAULT_SUPER_ADMIN = "admin@knowrithm.local"
MAIL_VARIABLES = ("SMTP_HOST", "RESEND_API_KEY", "EMAIL_BACKEND")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m knowrithm.embedded", description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("run", help="the whole platform, until Ctrl-C")
    modes.add_parser("services", help="PostgreSQL and Valkey only, until Ctrl-C; prints their addresses")
    modes.add_parser("test", help="a command beside throw-away services").add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        if options.mode == "test":
            return run_command(options.command)
        return run_platform() if options.mode == "run" else run_services()
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    except Interrupted as interruption:
        return interruption.exit_status


def run_platform() -> int:
    """Everything, until a stop signal; 0 after a clean stop."""
    data_dir, port, host = _data_dir(), _port(), os.environ.get("HOST") or "127.0.0.1"
    address = os.environ.get("BASE_URL") or f"http://localhost:{port}"
    with only_one(data_dir, address=address):
        _check_port(port, host=host)
        services = Services.prepare(data_dir, env=os.environ)
        is_new = not (data_dir / "secrets.env").exists()
        shows = Shows.ALL if os.environ.get("LOG_LEVEL") else Shows.ALARMS
        with Supervisor(cwd=ROOT, shows=shows, logs=data_dir / "logs", sentences=SENTENCES) as supervisor:
            supervisor.say("Starting; what the parts write is in " + str(supervisor.logs))
            services.start(supervisor)
            supervisor.say(f"Preparing the database{' (the first time takes about half a minute)' if is_new else ''}")
            env = {
                "SUPER_ADMIN_EMAIL": DEFAULT_SUPER_ADMIN,
                "PYTHONUNBUFFERED": "1",
                **_with_secrets(data_dir, env=os.environ),
                **services.addresses(),
                "DATA_DIR": str(data_dir),
                "MAIL_LOG": str(_mail_log(data_dir)),
                "PORT": str(port),
                "BASE_URL": address,
            }
            if status := supervisor.run("prepare", [sys.executable, "manage.py", "prepare"], env=env):
                raise EmbeddedError(
                    f"The platform could not be prepared ({describe_exit(status)}); see the lines above."
                )
            supervisor.say("Starting the web process, the workers and the scheduler")
            supervisor.start(*application_parts(env=env, host=host, port=port), timeout=120)
            with contextlib.suppress(OSError):  # nobody reads: the platform runs all the same
                print("", *_welcome(data_dir, services=services, env=env, shows=shows), "", sep="\n", flush=True)
            supervisor.watch()
    print("Stopped. `make run` takes the same data up again.", flush=True)
    return 0


def run_services() -> int:
    """PostgreSQL and Valkey on the data folder, until a stop signal; for working on the platform by hand."""
    data_dir = _data_dir()
    with only_one(data_dir, address="the services only"):
        services = Services.prepare(data_dir, env=os.environ)
        with Supervisor(cwd=ROOT) as supervisor:
            services.start(supervisor)
            secrets = platform_secrets(data_dir / "secrets.env")
            for name, value in {**secrets, **services.addresses(), "DATA_DIR": str(data_dir)}.items():
                print(f"export {name}='{value}'", flush=True)
            supervisor.watch()
    return 0


def run_command(command: list[str]) -> int:
    """Run `command` beside services of its own, whose data are thrown away with it; its exit status."""
    with tempfile.TemporaryDirectory(prefix="knowrithm-") as folder:
        data_dir = Path(folder).resolve()
        data_dir.chmod(0o711)  # root's PostgreSQL runs as another user
        services = Services.prepare(data_dir, env={}, durable=False)
        inherited = {name: value for name, value in os.environ.items() if name not in ADDRESS_VARIABLES}
        secrets = platform_secrets(data_dir / "secrets.env")
        env = {**inherited, **secrets, **services.addresses(), "DATA_DIR": str(data_dir)}
        try:
            with Supervisor(cwd=ROOT, shows=Shows.NOTHING) as supervisor:
                services.start(supervisor)
                status = supervisor.run_in_foreground(command, env=env)
        finally:
            if services.postgres:
                shutil.rmtree(services.postgres.home)  # it may lie elsewhere
    return status if status >= 0 else 128 - status


def _data_dir() -> Path:
    """The data folder, created if need be; it and all that is written from now on is closed to other users."""
    os.umask(0o077)
    data_dir = Path(os.environ.get("DATA_DIR") or ROOT / ".data").resolve()
    try:
        if not data_dir.exists():
            data_dir.mkdir(parents=True)
            data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)  # root's PostgreSQL, another user, passes through
        (data_dir / "lock").open("a").close()
    except OSError as error:
        raise EmbeddedError(f"The data folder {data_dir} cannot be used: {error.strerror}.") from error
    return data_dir


def _mail_log(data_dir: Path) -> Path:
    """Where mails go that are not sent: the worker writes them."""
    return data_dir / "logs" / "worker.log"


def _port() -> int:
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise EmbeddedError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def _check_port(port: int, *, host: str) -> None:
    try:
        if not is_free(port, host=host):
            raise EmbeddedError(f"Port {port} is taken by another program. Choose another: make run PORT={port + 1}")
    except OSError as error:
        why = "needs more rights" if error.errno == errno.EACCES else error.strerror
        raise EmbeddedError(f"Port {port} of {host} cannot be used: {why}.") from error


def _with_secrets(data_dir: Path, *, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the generated secrets for those that neither NAME nor NAME_FILE sets."""
    generated = platform_secrets(data_dir / "secrets.env")
    wanted = {name: value for name, value in generated.items() if not (env.get(name) or env.get(f"{name}_FILE"))}
    return {**env, **wanted}


def _welcome(data_dir: Path, *, services: Services, env: Mapping[str, str], shows: Shows) -> list[str]:
    """What a person needs to know once everything runs. The generated password is shown the first time only."""
    shown = data_dir / "super-admin-shown"
    secrets_file = data_dir / "secrets.env"
    password = platform_secrets(secrets_file)["SUPER_ADMIN_PASSWORD"]
    if env.get("SUPER_ADMIN_PASSWORD") != password:
        credential = "password as set in the environment"
    elif shown.exists():
        credential = f"password in {secrets_file}"
    else:
        credential = f"password {password} (shown this once; kept in {secrets_file})"
        write_private(shown, "")
    logs = data_dir / "logs"
    lines = [
        f"Knowrithm is running on {env['BASE_URL']}",
        f"Super admin: {env['SUPER_ADMIN_EMAIL']}, {credential}",
        f"Data: {data_dir}",
        f"Logs: {logs}"
        + (" (shown here: warnings and errors; all with LOG_LEVEL=INFO)" if shows is Shows.ALARMS else ""),
    ]
    if services.postgres and not services.postgres.home.is_relative_to(data_dir):
        lines.append(f"Database: {services.postgres.home} (its account cannot reach the data folder)")
    if not any(env.get(name) or env.get(f"{name}_FILE") for name in MAIL_VARIABLES):
        lines.append(f"Mail: not sent, as SMTP_HOST is not set; each is written to {_mail_log(data_dir)}")
    return [*lines, "Ctrl-C stops everything; the data stay."]


if __name__ == "__main__":
    sys.exit(main())
