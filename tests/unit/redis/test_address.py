"""Where a store is: what cannot be meant is refused, and no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from takt.errors import StoreError
from takt.redis.wire import Address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:s3cret@store:6379/1?password=s3cret", "redis://store:6379/1"),
        ("rediss://:s3cret@store", "rediss://store"),
        ("unix://user:s3cret@/run/store.sock?db=2", "unix:///run/store.sock"),
        ("redis://:p%40ss@[::1]:6380", "redis://[::1]:6380"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    """Errors and logs name the server, not the way in."""
    assert shown == Address(url).shown


@pytest.mark.parametrize("url", ["", "store:6379", "http://store", "/run/store.sock"])
def test_other_schemes_are_refused(url: str) -> None:
    """The message names the schemes that there are."""
    with pytest.raises(StoreError, match="starts with redis://, rediss:// or unix://"):
        Address(url)


def test_ca_without_tls_is_refused(tmp_path: Path) -> None:
    """Whoever names a CA means TLS, and would not get it."""
    with pytest.raises(StoreError, match="use rediss:// with it"):
        Address("redis://store", ca_file=tmp_path / "ca.pem")


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_no_time_is_refused(timeout_s: float) -> None:
    """A time-out of nothing answers nothing."""
    with pytest.raises(StoreError, match="must be positive"):
        Address("redis://store", timeout_s=timeout_s)


def test_password_is_the_first_line(tmp_path: Path) -> None:
    """Editors end files with a line end; it is not part of the password."""
    file = tmp_path / "password"
    file.write_text(" s3 cret \nsecond line\n")

    assert " s3 cret " == Address("redis://store", password_file=file).password()
    assert Address("redis://store").password() is None


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_unusable_password_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty or not text: the message names the file."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(StoreError, match="password: "):
        Address("redis://store", password_file=file).password()
