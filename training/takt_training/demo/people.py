"""Households of The Complete Journey, written to a running service over its public contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from takt.cli import lines
from takt.cli.client import Client
from takt.cli.messages import profile_write
from takt.errors import PreconditionError
from takt.features.spec import FeatureSpec
from takt_training.complete_journey.profiles import Household, households
from takt_training.complete_journey.tables import load_tables

AS_OF = date(2017, 10, 1)
"""What was known of the households when this day began. The committed model was trained on what came before it."""

ROWS = 100
"""Profiles in one call: few, so that the progress bar moves."""


def known(spec: FeatureSpec) -> list[Household]:
    """All households of the data, as of `AS_OF`."""
    return households(load_tables(), spec.profile, AS_OF)


def plain(household: Household, spec: FeatureSpec) -> Mapping[str, Any]:
    """A household as JSON has it, to be put as it stands: consents that are not given are refused ones."""
    row = household.row
    return {
        "profile_id": household.profile_id,
        "features": dict(row.features),
        "consents": {purpose: purpose in row.consents for purpose in spec.person.consents},
        "time_zone": row.time_zone,
        "locale": row.locale,
        "form_of_address": row.address.name.lower(),
        "mode": "replace",
    }


def put(client: Client, people: list[Household], spec: FeatureSpec, out: Console) -> lines.Tally:
    """Write them all, with a progress bar. Raises `PreconditionError` naming what the service refused."""
    written: Iterator[lines.Line[Any]] = (
        lines.Line(number, profile_write(plain(household, spec))) for number, household in enumerate(people, start=1)
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal) as progress:
        task = progress.add_task("loading households", total=len(people))
        tally = lines.send(written, client.put, lambda count: progress.advance(task, count), rows=ROWS)
    if tally.wrong:
        refused = "\n".join(text for line in tally.wrong[:3] for text in line.told("household"))
        raise PreconditionError(f"{len(tally.wrong)} households were refused:\n{refused}")
    return tally
