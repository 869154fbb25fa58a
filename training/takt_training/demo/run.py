"""What `takt demo` does, from start to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.cli.catalog import files_of
from takt.cli.client import Client
from takt.cli.show import console
from takt_training.demo import people, places, tour
from takt_training.demo.serving import Service, ServiceError

ORIGIN = {
    "From the data": "households and what they bought (The Complete Journey, which its publishers call simulated after "
    "real shopping, and meant for education); the offers' categories, prices and worth (what a household spends on the "
    "category: the data know no margins); campaigns, and who redeemed their coupons",
    "Simulated": "consents and forms of address, because the data have none",
    "Made up": "channels, placements, journey stages, rules, caps, the price of attention",
    "Not known": "whether a contact is the cause of a redemption: households were targeted, not drawn at random; which "
    "tone suits whom: the model has no opinion, the service explores it; when to address: learned from when "
    "households shop, not from responses",
}
"""What the demo's numbers rest on."""


def run(*, once: bool, workspace: Path | None, model: Path | None, data_dir: Path, settings: Mapping[str, str]) -> None:
    """Start, load, show, serve. Raises `TaktError` for everything that keeps it from that."""
    out = console()
    begun = time.monotonic()
    place, bundle = places.workspace(workspace), places.model(model)
    catalog = load_workspace(place)
    given = {
        **settings,
        "workspace": str(place),
        "model": str(bundle),
        "data_dir": str(data_dir / "store"),
        # a first touch of the store may wait for a slow disk; a demo is no place for a fallback
        "store_timeout_ms": "2000",
        "decide_budget_ms": "5000",
    }
    signal.signal(signal.SIGTERM, _interrupt)
    introduce(out, catalog, place, bundle)
    with Service(given, data_dir / "serve.log") as service:
        out.print(f"Starting the service with its own store in {data_dir} ...")
        households = people.known(catalog.spec)
        service.await_ready()
        with Client(service.admin) as admin:
            renew(admin, catalog, place, out)
            loading = time.monotonic()
            people.put(admin, households, catalog.spec, out)
            took = time.monotonic() - loading
            out.print(
                f"{len(households):,} households, {len(catalog.spec.profile.features)} features each, in {took:.1f} s"
            )
        with Client(service.public) as client:
            tour.guide(tour.Tour(client, catalog, out), [household.profile_id for household in households])
        out.print(f"\n{time.monotonic() - begun:.0f} s since the start.")
        if once:
            return
        invite(out, service, place)
        try:
            code = service.wait()
        except KeyboardInterrupt:
            out.print("\nDraining ...")
            return
        raise ServiceError(f"the service ended with {code}:\n{service.tail()}")


def introduce(out: Console, catalog: Catalog, place: Path, bundle: Path) -> None:
    """What this is, what is real in it and what is not."""
    out.print(
        f"[bold]Takt demo[/]: {len(catalog.offers)} offers, {len(catalog.placements)} placements, "
        f"{len(catalog.timings)} timings, {len(catalog.tonalities)} tonalities, {len(catalog.caps)} caps, "
        f"from {place}; model {bundle}"
    )
    for kind, what in ORIGIN.items():
        out.print(f"[dim]{kind}: {what}.[/]")


def renew(admin: Client, catalog: Catalog, place: Path, out: Console) -> None:
    """Put the workspace in force where the demo's store still has another one, from an earlier run."""
    before = admin.catalog().version
    if before != catalog.version:
        out.print(f"The store has version {before} of the catalog in force; applying {catalog.version} ...")
        admin.apply(files_of(place), actor="takt demo", reason="the workspace has changed", expected=before)


def invite(out: Console, service: Service, place: Path) -> None:
    """How to ask from another terminal."""
    address, top = service.public.address, place.parent.parent
    client = top / "examples" / "client.py"
    example = f"\n  .venv/bin/python {client} {address}" if client.is_file() else ""
    out.print(
        f"\n[bold]Serving on {address} until Ctrl-C.[/] Ask from another terminal:{example}\n"
        f"  .venv/bin/takt decide --server {address} --profile hh-0042 --placement home_hero --context page=home\n"
        f"  .venv/bin/takt profile get hh-0042 --server {service.admin.address}\n"
        f'  grpcurl -plaintext -d \'{{"request_id": "r-1", "profile_id": "hh-0042", '
        f'"placements": [{{"placement": "home_hero"}}]}}\' {address} takt.v1.DecisionService/Decide',
        markup=True,
        soft_wrap=True,
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the demo as Ctrl-C does."""
    del number, frame
    raise KeyboardInterrupt
