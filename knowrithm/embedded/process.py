"""Starting a program so that it cannot outlive us, as ourselves or as another account."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)  # loaded before any fork: the child must not import or allocate much


@dataclass(frozen=True)
class Account:
    """A user of this machine that a program runs as; only root can use one."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> Account | None:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        return cls(name=name, uid=entry.pw_uid, gid=entry.pw_gid)


def _die_with(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    """Runs in the child between fork and exec, after the change of user, which would clear the setting."""

    def set_death_signal() -> None:
        if sys.platform == "linux":
            _libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
            if os.getppid() != parent:  # the parent died before the line above could take effect
                os._exit(1)

    return set_death_signal


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, its output in one pipe; `death_signal` reaches it when we die.

    Call it from the main thread of a process without others: `preexec_fn` is safe only there, and the kernel sends
    the death signal when the *thread* that started the child ends.
    """
    return subprocess.Popen(  # noqa: S603 - the programs are our own
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=_die_with(os.getpid(), death_signal),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def run_as(account: Account | None, argv: Sequence[str | Path], *, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a short program to its end; (exit status, its output). A program out of the account's reach is status 126."""
    try:
        done = subprocess.run(  # noqa: S603 - the programs are our own
            argv,
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except PermissionError as error:
        return 126, str(error)
    return done.returncode, done.stdout


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of a program started by `spawn`: itself and the processes that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
