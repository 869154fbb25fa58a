"""Options that several commands share: where the service is, and how to print."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from takt.cli.client import Door

PUBLIC = "127.0.0.1:50051"
ADMIN = "127.0.0.1:50052"

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
DIRECTORY = click.Path(exists=True, file_okay=False, readable=True, path_type=Path)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")

_tls = (
    click.option("--tls", is_flag=True, envvar="TAKT_CLIENT_TLS", help="Use TLS, with the system's authorities."),
    click.option(
        "--tls-ca", type=FILE, envvar="TAKT_CLIENT_TLS_CA", help="PEM of the authority to trust; implies TLS."
    ),
    click.option("--tls-cert", type=FILE, envvar="TAKT_CLIENT_TLS_CERT", help="PEM of the client's own certificate."),
    click.option("--tls-key", type=FILE, envvar="TAKT_CLIENT_TLS_KEY", help="PEM of the client's own key."),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0.001, max=3600),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for an answer.",
    ),
)
_public = click.option(
    "--server",
    default=PUBLIC,
    show_default=True,
    envvar="TAKT_SERVER",
    show_envvar=True,
    metavar="HOST:PORT",
    help="Address of the service.",
)
_admin = (
    click.option(
        "--server",
        default=ADMIN,
        show_default=True,
        envvar="TAKT_ADMIN_SERVER",
        show_envvar=True,
        metavar="HOST:PORT",
        help="Administrative address of the service.",
    ),
    click.option(
        "--token-file",
        type=FILE,
        envvar="TAKT_ADMIN_TOKEN_FILE",
        show_envvar=True,
        help="File with the bearer token of that address.",
    ),
)


def public_door(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the public address; it gets them as one argument `door`."""
    return _with_door(command, (_public, *_tls))


def admin_door(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for the administrative address, with its token."""
    return _with_door(command, (*_admin, *_tls))


def _with_door(command: Callable[..., Any], options: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    @functools.wraps(command)
    def opened(
        *,
        server: str,
        timeout: float,
        tls: bool,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        token_file: Path | None = None,
        **others: Any,
    ) -> Any:
        if (tls_cert is None) != (tls_key is None):
            raise click.UsageError("--tls-cert and --tls-key belong together; give both or none")
        door = Door(
            address=server,
            timeout_s=timeout,
            tls=tls,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            token_file=token_file,
        )
        return command(door=door, **others)

    for option in reversed(options):
        opened = option(opened)
    return opened
