"""Which front end serves, and what cannot go together with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from takt.settings import SettingsError, load


@pytest.mark.parametrize(
    ("transport", "tls", "native"),
    [
        (None, False, True),
        ("auto", True, False),
        ("grpcio", False, False),
        ("grpcio", True, False),
        ("native", False, True),
    ],
)
def test_auto_takes_native_without_tls(tmp_path: Path, transport: str | None, tls: bool, native: bool) -> None:
    """The faster one where it can serve, the other where TLS is wanted, and whatever is asked for by name."""
    (tmp_path / "pem").write_text("-----BEGIN CERTIFICATE-----")
    pem = str(tmp_path / "pem")
    given = {"workspace": str(tmp_path), "transport": transport} | ({"tls_cert": pem, "tls_key": pem} if tls else {})

    assert native == load(given, {}).native


def test_native_has_no_tls(tmp_path: Path) -> None:
    """Asking for both is refused, rather than served in plaintext."""
    (tmp_path / "pem").write_text("-----BEGIN CERTIFICATE-----")
    pem = str(tmp_path / "pem")
    with pytest.raises(SettingsError, match=r"--transport \(TAKT_TRANSPORT\): native has no TLS"):
        load({"workspace": str(tmp_path), "transport": "native", "tls_cert": pem, "tls_key": pem}, {})


def test_workers_share_ports_and_not_sockets(tmp_path: Path) -> None:
    """Unix sockets are for one process each; with one worker they are fine."""
    given = {"workspace": str(tmp_path), "listen": "unix:/tmp/a", "admin_listen": "unix:/tmp/b"}
    assert 1 == load(given, {}).workers
    with pytest.raises(SettingsError) as refusal:
        load({**given, "workers": "2"}, {})

    assert ["--listen", "--admin-listen"] == [v.message.split(";")[0].split()[-1] for v in refusal.value.violations]
