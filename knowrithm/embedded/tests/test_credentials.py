from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet

from knowrithm.embedded.credentials import platform_secrets, private_password


def test_secrets_are_generated_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"

    first = platform_secrets(path)

    assert list(first) == ["SECRET_KEY", "JWT_SECRET_KEY", "ENCRYPTION_KEY", "SUPER_ADMIN_PASSWORD"]
    assert len(set(first.values())) == 4
    assert platform_secrets(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_encryption_key_is_a_fernet_key(tmp_path: Path) -> None:
    fernet = Fernet(platform_secrets(tmp_path / "secrets.env")["ENCRYPTION_KEY"])

    assert fernet.decrypt(fernet.encrypt(b"connection string")) == b"connection string"


def test_a_kept_secret_stays_when_others_are_added(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_text("SECRET_KEY=a=b\nMINE=x\n")

    secrets = platform_secrets(path)

    assert secrets["SECRET_KEY"] == "a=b"
    assert "MINE" not in secrets
    assert path.read_text().startswith("SECRET_KEY=a=b\nMINE=x\nJWT_SECRET_KEY=")


def test_password_is_generated_once(tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"

    password = private_password(first)

    assert private_password(first) == password != private_password(other)
    assert first.stat().st_mode & 0o777 == 0o600
