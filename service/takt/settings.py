"""How a process is set up: one frozen value, from command line, environment (`TAKT_*`) and defaults, in this order.

One table declares flag, variable, default and help of each, so that command line, documentation and messages cannot
disagree. Everything is validated once, together, before anything starts. Secrets are files, never values: a value would
be seen in process lists.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from takt.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from takt.errors import TaktError, Violation
from takt.spelling import shown

PREFIX: Final = "TAKT_"
UNITS: Final = {"us": 1, "ms": 1_000, "s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}
LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("json", "console")
TRANSPORTS: Final = ("auto", "grpcio", "native")
REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
LONGEST_SECRET: Final = 4096


class SettingsError(TaktError):
    """Settings were refused. Carries every violation, each naming the flag and the variable."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        """Keep the violations; the message has one per line."""
        super().__init__("\n".join(f"{v.field}: {v.message}" for v in violations))
        self.violations = violations


class Address(Struct, frozen=True):
    """Where a listener binds: a host and port, or the path of a Unix socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _address(text: str) -> Address:
    """`HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise ValueError("a Unix socket needs a path, as in unix:/run/takt.sock")
        return Address("", 0, path)
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:50051")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{shown(text)} is not HOST:PORT with a port of 0 to 65535, nor unix:PATH")
    return Address(host, int(port))


def _optional_address(text: str) -> Address | None:
    """`HOST:PORT`; empty is none."""
    if text.startswith("unix:"):
        raise ValueError(f"{shown(text)} is a Unix socket; Prometheus needs HOST:PORT")
    return _address(text) if text else None


def _duration(text: str) -> int:
    """`500ms`, `2s`, `15m`, `1h`, `7d` in microseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)", text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a duration such as 500ms, 2s, 15m or 1h")
    return round(float(match[1]) * UNITS[match[2]])


def _whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number between two bounds, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"{shown(text)} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _number(least: float, most: float) -> Callable[[str], float]:
    """A number between two bounds, both included."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"\d+(\.\d+)?", text) or not least <= float(text) <= most:
            raise ValueError(f"{shown(text)} is not a number from {least:g} to {most:g}")
        return float(text)

    return parse


def _one_of(*allowed: str) -> Callable[[str], str]:
    """One of some words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{shown(text)} is not one of {', '.join(allowed)}")
        return text

    return parse


def _folder(text: str) -> Path:
    """A directory that exists."""
    path = Path(text)
    if not path.is_dir():
        raise ValueError(f"{shown(text)} is not a directory")
    return path


def _file(text: str) -> Path:
    """A file that exists."""
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"{shown(text)} is not a file")
    return path


def _redis_url(text: str) -> str:
    """`redis://`, `rediss://` or `unix://`, without a password."""
    try:
        url = urlsplit(text)
        password = url.password
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if url.scheme not in REDIS_SCHEMES:
        raise ValueError(f"starts with {shown(url.scheme + '://')}; use redis://, rediss:// or unix://")
    if password:
        raise ValueError("holds a password; put it into a file and name that with --redis-password-file")
    return text


class Settings(Struct, frozen=True, kw_only=True):
    """All that a serving process is told. `load` makes it; defaults, flags and meaning are in `OPTIONS`."""

    workspace: Path
    model: Path | None
    """None: a constant prior scores, and every answer says that it is degraded."""
    listen: Address
    admin_listen: Address
    transport: str
    """Front end of the public listener: one of `TRANSPORTS`."""
    workers: int
    metrics_listen: Address | None
    """None: metrics are not served."""
    redis_url: str | None
    """None: an embedded store is started on `data_dir`."""
    redis_password_file: Path | None
    redis_ca: Path | None
    data_dir: Path
    store_timeout_ms: int
    decide_budget_ms: int
    max_batch: int
    max_waiting: int
    grace_s: float
    request_id_retention_us: int
    max_age_us: int
    tls_cert: Path | None
    tls_key: Path | None
    tls_client_ca: Path | None
    admin_token_file: Path | None
    log_level: str
    log_format: str

    @property
    def native(self) -> bool:
        """Whether the native front end serves the public listener."""
        return self.transport == "native" or (self.transport == "auto" and self.tls_cert is None)


class Option(Struct, frozen=True):
    """One setting as people give it."""

    name: str
    """Name of the field of `Settings`."""
    metavar: str
    parse: Callable[[str], Any]
    """From text; raises `ValueError` that says what would be right."""
    default: str
    """As one would type it; empty if there is none."""
    help: str

    @property
    def flag(self) -> str:
        """On the command line. A duration is typed with its unit, so that its flag names none."""
        return "--" + self.name.removesuffix("_us").replace("_", "-")

    @property
    def variable(self) -> str:
        """In the environment."""
        return PREFIX + self.name.removesuffix("_us").upper()

    def __str__(self) -> str:
        return f"{self.flag} ({self.variable})"


LISTEN: Final = "HOST:PORT|unix:PATH"
OPTIONS: Final[tuple[Option, ...]] = (
    Option(
        "workspace",
        "DIR",
        _folder,
        "",
        "directory of the workspace, the first catalog of a store that has none; required",
    ),
    Option("model", "DIR", _folder, "", "directory of the model bundle; without one a constant prior scores"),
    Option("listen", LISTEN, _address, "127.0.0.1:50051", "where decisions and feedback are served"),
    Option(
        "admin_listen",
        LISTEN,
        _address,
        "127.0.0.1:50052",
        "where profiles, contacts, catalog and models are served; beyond loopback it needs a token",
    ),
    Option(
        "transport",
        "|".join(TRANSPORTS),
        _one_of(*TRANSPORTS),
        "auto",
        "front end of --listen: native is faster and plaintext only, grpcio has TLS; auto takes native without TLS",
    ),
    Option(
        "workers",
        "N",
        _whole(1, 64),
        "1",
        "processes that share the listeners, each with its own model; one is replaced when it ends",
    ),
    Option(
        "metrics_listen",
        "HOST:PORT",
        _optional_address,
        "127.0.0.1:9464",
        "where Prometheus reads metrics; empty turns it off",
    ),
    Option("redis_url", "URL", _redis_url, "", "redis://, rediss:// or unix://; without it a store is embedded"),
    Option("redis_password_file", "FILE", _file, "", "file with the store's password"),
    Option("redis_ca", "FILE", _file, "", "certificates that a rediss:// store is verified with, PEM"),
    Option("data_dir", "DIR", Path, ".takt/data", "where the embedded store keeps its data"),
    Option("store_timeout_ms", "MS", _whole(1, 60_000), "50", "time that one call of the store may take"),
    Option(
        "decide_budget_ms",
        "MS",
        _whole(1, 60_000),
        "250",
        "time that a decision may take where its request names none",
    ),
    Option("max_batch", "N", _whole(1, 1024), "48", "most requests that are decided together"),
    Option(
        "max_waiting",
        "N",
        _whole(1, 1_000_000),
        "1024",
        "most requests that may wait; those beyond get their fallback at once",
    ),
    Option("grace_s", "S", _number(0, 600), "10", "seconds that calls in flight get at the end"),
    Option("request_id_retention_us", "DURATION", _duration, "15m", "how long a request id is remembered"),
    Option("max_age_us", "DURATION", _duration, "2s", "oldest snapshot that a decision may be committed on"),
    Option("tls_cert", "FILE", _file, "", "certificate chain of both listeners, PEM"),
    Option("tls_key", "FILE", _file, "", "private key of the certificate, PEM"),
    Option("tls_client_ca", "FILE", _file, "", "authorities that callers' certificates must come from (mTLS), PEM"),
    Option("admin_token_file", "FILE", _file, "", "file with the bearer token of the admin listener"),
    Option("log_level", "|".join(LEVELS), _one_of(*LEVELS), "info", "least severe log line that is written"),
    Option("log_format", "|".join(FORMATS), _one_of(*FORMATS), "json", "log lines for machines or for people"),
)
"""Every setting, in the order of `Settings`: what the command line and the documentation are made from."""

_BY_NAME: Final = {option.name: option for option in OPTIONS}


def label(name: str) -> str:
    """How messages name a setting: flag and variable."""
    return str(_BY_NAME[name])


def load(given: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Settings from the command line (field name to text, None = not given), the environment and defaults.

    An empty text means "none". Raises `SettingsError` with everything that is wrong.
    """
    found = _misspelt(environ)
    values: dict[str, Any] = {}
    named: set[str] = set()
    for option in OPTIONS:
        text = given.get(option.name)
        if text is None:
            text = environ.get(option.variable)
        if text:
            named.add(option.name)
        if text is None:
            text = option.default
        try:
            values[option.name] = _parsed(option, text)
        except ValueError as error:
            found.append(Violation(str(option), str(error)))
    found += _conflicts(values, named)
    if found:
        raise SettingsError(tuple(found))
    return Settings(**values)


def _parsed(option: Option, text: str) -> Any:
    """The value of one setting. Raises `ValueError`."""
    if text or option.parse is _optional_address:
        return option.parse(text)
    if option.name == "workspace":
        raise ValueError("is required: the directory of the workspace to serve")
    if option.default:
        raise ValueError(f"is empty; leave it out for {option.default}")
    return None


def _misspelt(environ: Mapping[str, str]) -> list[Violation]:
    """Variables that were probably meant to be ours. Others with our prefix are left alone: Kubernetes sets some."""
    known = [option.variable for option in OPTIONS]
    strange = [name for name in environ if name.startswith(PREFIX) and name not in known]
    return [
        Violation(name, f"is not a setting; did you mean {near[0]}?")
        for name in strange
        if (near := difflib.get_close_matches(name, known, n=1, cutoff=0.85))
    ]


def _conflicts(values: Mapping[str, Any], named: set[str]) -> list[Violation]:
    """What is wrong only in company, among what could be parsed. `named` are the settings that somebody gave."""
    found: list[Violation] = []
    if "redis_url" in named and "data_dir" in named:
        found.append(Violation(label("data_dir"), "is for the embedded store; leave it or --redis-url out"))
    found.extend(
        Violation(label(name), "is for a store of your own; give --redis-url too, or leave it out")
        for name in ("redis_password_file", "redis_ca")
        if name in named and "redis_url" not in named
    )
    found.extend(
        Violation(label(other), f"is required with {_BY_NAME[one].flag}")
        for one, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert"), ("tls_client_ca", "tls_cert"))
        if one in named and other not in named
    )
    if values.get("transport") == "native" and "tls_cert" in named:
        wrong = "native has no TLS; take auto or grpcio, or end TLS in a proxy before it and leave --tls-cert out"
        found.append(Violation(label("transport"), wrong))
    if values.get("workers", 1) > 1:
        found.extend(
            Violation(
                label("workers"), f"processes cannot share the Unix socket of {_BY_NAME[name].flag}; give HOST:PORT"
            )
            for name in ("listen", "admin_listen")
            if name in values and values[name].path
        )
    admin = values.get("admin_listen")
    if isinstance(admin, Address) and not admin.loopback and "admin_token_file" not in named:
        found.append(
            Violation(label("admin_token_file"), f"is required: --admin-listen {admin} is open to other machines")
        )
    listeners = [values[name] for name in ("listen", "admin_listen", "metrics_listen") if values.get(name)]
    fixed = [str(address) for address in listeners if address.path or address.port]
    if len(fixed) != len(set(fixed)):
        found.append(Violation(label("listen"), "shares its address with another listener; give each its own"))
    return found


def read_secret(path: Path, name: str) -> str:
    """The one line in a secret's file, without the space around it. Raises `SettingsError` naming the setting."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise SettingsError((Violation(label(name), f"{shown(path)} cannot be read: {reason}"),)) from None
    if not text or len(text) > LONGEST_SECRET or not text.isprintable():
        raise SettingsError(
            (Violation(label(name), f"{shown(path)} must hold one line of 1 to {LONGEST_SECRET} printable characters"),)
        )
    return text
