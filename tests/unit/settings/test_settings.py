"""Settings come from three sources, are validated together, and are named in every message."""

from __future__ import annotations

from pathlib import Path

import pytest

from takt.settings import OPTIONS, Address, Settings, SettingsError, load, read_secret

Given = dict[str, str | None]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """The least that has to be given."""
    return {"workspace": str(tmp_path)}


def refused(given: Given, environ: dict[str, str] | None = None) -> dict[str, str]:
    """What is wrong, by the setting that it is blamed on."""
    with pytest.raises(SettingsError) as refusal:
        load(given, environ or {})
    return {violation.field: violation.message for violation in refusal.value.violations}


def test_options_are_the_fields() -> None:
    """Every field of the settings is declared as an option, in the same order."""
    assert list(Settings.__struct_fields__) == [option.name for option in OPTIONS]


def test_defaults_are_local_and_private(given: Given) -> None:
    """Without further settings, every listener is loopback and nothing is asked of the network."""
    settings = load(given, {})

    assert Address("127.0.0.1", 50051) == settings.listen
    assert Address("127.0.0.1", 50052) == settings.admin_listen
    assert Address("127.0.0.1", 9464) == settings.metrics_listen
    assert (None, Path(".takt/data")) == (settings.redis_url, settings.data_dir)
    assert (50, 250, 15 * 60_000_000, 2_000_000) == (
        settings.store_timeout_ms,
        settings.decide_budget_ms,
        settings.request_id_retention_us,
        settings.max_age_us,
    )


def test_command_line_beats_environment_beats_default(given: Given) -> None:
    """The nearer source wins, setting by setting."""
    environ = {"TAKT_LISTEN": "127.0.0.1:1", "TAKT_MAX_BATCH": "7", "TAKT_MAX_AGE": "500ms"}

    settings = load({**given, "listen": "[::1]:2", "max_batch": None}, environ)

    assert "[::1]:2" == str(settings.listen)
    assert (7, 500_000, 1024) == (settings.max_batch, settings.max_age_us, settings.max_waiting)


def test_everything_wrong_is_said_at_once() -> None:
    """One refusal names each wrong setting by flag and variable, and says what would be right."""
    wrong = refused(
        {"listen": "localhost", "redis_url": "http://x", "max_age_us": "2", "log_level": "loud"},
        {"TAKT_MAX_BATCH": "none", "TAKT_TLS_CERT": "/no/such"},
    )

    assert {
        "--workspace (TAKT_WORKSPACE)": "is required: the directory of the workspace to serve",
        "--listen (TAKT_LISTEN)": "'localhost' is not HOST:PORT with a port of 0 to 65535, nor unix:PATH",
        "--redis-url (TAKT_REDIS_URL)": "starts with 'http://'; use redis://, rediss:// or unix://",
        "--max-age (TAKT_MAX_AGE)": "'2' is not a duration such as 500ms, 2s, 15m or 1h",
        "--log-level (TAKT_LOG_LEVEL)": "'loud' is not one of debug, info, warning, error",
        "--max-batch (TAKT_MAX_BATCH)": "'none' is not a whole number from 1 to 1024",
        "--tls-cert (TAKT_TLS_CERT)": "'/no/such' is not a file",
        "--tls-key (TAKT_TLS_KEY)": "is required with --tls-cert",
    } == wrong


def test_admin_beyond_loopback_needs_a_token(given: Given, tmp_path: Path) -> None:
    """An admin listener that other machines can reach is refused without a token, and taken with one."""
    token = tmp_path / "token"
    token.write_text("sesame\n")

    assert {
        "--admin-token-file (TAKT_ADMIN_TOKEN_FILE)": "is required: --admin-listen 0.0.0.0:1 is open to other machines"
    } == refused({**given, "admin_listen": "0.0.0.0:1"})
    assert token == load({**given, "admin_listen": "0.0.0.0:1", "admin_token_file": str(token)}, {}).admin_token_file


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/run/takt.sock", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("takt.example:1", False),
    ],
)
def test_loopback_is_known(given: Given, tmp_path: Path, text: str, loopback: bool) -> None:
    """Only addresses that no other machine can reach count as loopback, and each is written as it was read."""
    token = tmp_path / "token"
    token.write_text("sesame")

    address = load({**given, "admin_listen": text, "admin_token_file": str(token)}, {}).admin_listen

    assert (loopback, text) == (address.loopback, str(address))


def test_a_password_in_the_url_is_refused(given: Given) -> None:
    """A secret has no place where process lists show it, nor is it repeated in the message."""
    wrong = refused({**given, "redis_url": "redis://:hunter2@store:6379/0"})

    assert {
        "--redis-url (TAKT_REDIS_URL)": "holds a password; put it into a file and name that with --redis-password-file"
    } == wrong


def test_settings_that_exclude_or_need_each_other(given: Given, tmp_path: Path) -> None:
    """Settings that make no sense together are named, with the way out."""
    secret = tmp_path / "secret"
    secret.write_text("x")

    assert {"--data-dir (TAKT_DATA_DIR)"} == set(refused({**given, "redis_url": "redis://s", "data_dir": "d"}))
    assert {"--redis-password-file (TAKT_REDIS_PASSWORD_FILE)"} == set(
        refused({**given, "redis_password_file": str(secret)})
    )
    assert {"--tls-cert (TAKT_TLS_CERT)"} == set(refused({**given, "tls_client_ca": str(secret)}))
    assert {"--listen (TAKT_LISTEN)"} == set(refused({**given, "listen": "h:5", "metrics_listen": "h:5"}))


def test_metrics_can_be_turned_off(given: Given) -> None:
    """An empty address serves no metrics; a Unix socket is not one that Prometheus could read."""
    assert load(given, {"TAKT_METRICS_LISTEN": ""}).metrics_listen is None
    assert {"--metrics-listen (TAKT_METRICS_LISTEN)"} == set(refused({**given, "metrics_listen": "unix:/x"}))


def test_misspelt_variables_are_named(given: Given) -> None:
    """A variable that was nearly right is refused; others with the prefix, as Kubernetes sets them, are left alone."""
    kubernetes = {"TAKT_SERVICE_HOST": "10.0.0.1", "TAKT_PORT": "tcp://10.0.0.1:1", "TAKT_PORT_50051_TCP_PROTO": "tcp"}

    assert {"TAKT_WORKSPCE": "is not a setting; did you mean TAKT_WORKSPACE?"} == refused(
        given, {"TAKT_WORKSPCE": "x", **kubernetes}
    )
    assert 48 == load(given, kubernetes).max_batch


@pytest.mark.parametrize("contents", [b"", b"  \n", b"two\nlines", b"\xff\xfe", b"x" * 5000])
def test_a_secret_is_one_line(tmp_path: Path, contents: bytes) -> None:
    """A file that holds no usable secret is refused by the setting's name, without showing what it holds."""
    path = tmp_path / "secret"
    path.write_bytes(contents)

    with pytest.raises(SettingsError, match=r"^--admin-token-file \(TAKT_ADMIN_TOKEN_FILE\): ") as refusal:
        read_secret(path, "admin_token_file")

    assert "lines" not in str(refusal.value)


def test_a_secret_is_read_without_the_line_end(tmp_path: Path) -> None:
    """Editors end the line; that is not part of the secret."""
    path = tmp_path / "secret"
    path.write_text("sesame\n")

    assert "sesame" == read_secret(path, "admin_token_file")
