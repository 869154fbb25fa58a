"""The command `takt demo`. The rest is imported when it runs, so that its help is quick."""

from __future__ import annotations

from pathlib import Path

import click

LISTEN = "127.0.0.1:50051"
ADMIN_LISTEN = "127.0.0.1:50052"
METRICS_LISTEN = "127.0.0.1:9464"


@click.command()
@click.option("--once", is_flag=True, help="End after the tour instead of serving on.")
@click.option(
    "--workspace", type=click.Path(path_type=Path), help="Default: examples/complete_journey of this checkout."
)
@click.option("--model", type=click.Path(path_type=Path), help="Default: the newest of models/complete-journey.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path(".takt/demo"),
    show_default=True,
    help="Where store and log are kept. Contacts of earlier runs are in it; remove it to start afresh.",
)
@click.option("--listen", default=LISTEN, show_default=True, metavar="HOST:PORT", help="Where to serve decisions.")
@click.option("--admin-listen", default=ADMIN_LISTEN, show_default=True, metavar="HOST:PORT", help="And profiles.")
@click.option("--metrics-listen", default=METRICS_LISTEN, show_default=True, metavar="HOST:PORT", help="And metrics.")
def demo(
    *,
    once: bool,
    workspace: Path | None,
    model: Path | None,
    data_dir: Path,
    listen: str,
    admin_listen: str,
    metrics_listen: str,
) -> None:
    """Decide for real households, from nothing, in about a minute.

    Starts the service with its embedded store, loads the 2,469 households of The Complete Journey over gRPC, asks what
    to say to some of them, and shows what was decided and why: offers, moments, tones, caps that bite, silence. Then it
    keeps serving, so that you can ask as well, until Ctrl-C.

    \b
    Examples:
      takt demo
      takt demo --once --data-dir /tmp/takt-demo --listen 127.0.0.1:0
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    from takt_training.demo.run import run  # noqa: PLC0415 - pandas and the data take seconds to import

    run(
        once=once,
        workspace=workspace,
        model=model,
        data_dir=data_dir,
        settings={"listen": listen, "admin_listen": admin_listen, "metrics_listen": metrics_listen},
    )
