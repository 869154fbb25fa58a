"""`takt train` on a log or a table, from start to end: read, train, judge, write, check, show."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from takt.catalog.workspace import load_workspace
from takt.clock import DAY_US
from takt.errors import ModelError, PreconditionError
from takt.features.spec import FeatureSpec
from takt.model.check import check_bundle
from takt_training.joint import bundle
from takt_training.joint.contacts import Contacts
from takt_training.joint.from_log import arms_of, contacts_of
from takt_training.joint.judgement import Judgement, judge
from takt_training.joint.report import figures, summary, warnings, write_report
from takt_training.joint.settings import Settings, load_settings
from takt_training.joint.training import Arms, Trained, train
from takt_training.logged.goal import Goal
from takt_training.logged.load import load
from takt_training.progress import Steps
from takt_training.table.mapping import read_mapping
from takt_training.table.reading import TableRead, read_table
from takt_training.table.skeleton import catalog_yaml, offers_yaml, write_skeleton

MANY_ROWS = 100_000
"""From which on the time per million means something."""


class Lesson(Struct, frozen=True, eq=False):
    """What is learned from, with what it belongs to."""

    contacts: Contacts
    spec: FeatureSpec
    arms: Arms
    settings: Settings
    notes: tuple[str, ...]
    workspace: Path


def learn(lesson: Lesson, out: Path, *, overwrite: bool, as_json: bool, console: Console) -> bool:
    """Train, judge, write bundle and report to `out`, show; whether every bar was met.

    Raises ModelError if the data or the bundle are refused.
    """
    begun = time.monotonic()
    with Steps(console) as steps:
        trained = train(lesson.contacts, lesson.spec, lesson.arms, lesson.settings, steps.show)
        steps.show("judging on rows that were held out", 0)
        try:
            found = judge(lesson.contacts, trained)
        except ValueError as error:
            raise ModelError(f"the model cannot be judged: {error}") from error
        steps.show("judging on rows that were held out", 1)
        steps.show("writing the bundle", 0)
        bundle.write(trained, lesson.contacts, out, metrics=summary(found), overwrite=overwrite)
        write_report(trained, found, out, notes=lesson.notes)
        steps.show("writing the bundle", 0.5)
        _check(lesson, out)
        steps.show("writing the bundle", 1)
    seconds = time.monotonic() - begun
    told = figures(found)
    if as_json:
        console_out = {**told, "seconds_per_million": _shown(seconds / len(lesson.contacts) * 1e6)}
        print(json.dumps(console_out))  # noqa: T201  what --json is for
    else:
        _show(console, trained, found, lesson=lesson, out=out, seconds=seconds)
    return all(figure["ok"] for figure in told.values())


def _shown(value: float) -> dict[str, object]:
    return {"value": round(value, 1), "bar": "shown", "ok": True}


def _check(lesson: Lesson, out: Path) -> None:
    """Hold the bundle against the workspace that it is for."""
    catalog = load_workspace(lesson.workspace)
    report = check_bundle(
        out,
        spec=catalog.spec,
        timings=[timing.id for timing in catalog.timings],
        tonalities=catalog.tonalities,
        offers=[offer.id for offer in catalog.offers],
    )
    if not report.ok:
        raise ModelError("the bundle that was written breaks the contract:\n" + "\n".join(report.refusals))


def from_table(
    table: Path,
    mapping_file: Path,
    *,
    settings_file: Path | None,
    workspace: Path | None,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> bool:
    """Train on a CSV file; its workspace is written where there is none."""
    console = Console(stderr=as_json)
    mapping = read_mapping(_read(mapping_file, "--mapping"), str(mapping_file))
    with Steps(console) as steps:
        steps.show(f"reading {table.name}", 0)
        read = read_table(table, mapping)
        steps.show(f"reading {table.name}", 1)
    settings = (
        Settings(mapping.name, goal=mapping.goal, window_us=mapping.window_us, unit=mapping.unit, heads=_heads(read))
        if settings_file is None
        else load_settings(settings_file)
    )
    workspace = Path("workspaces") / settings.name if workspace is None else workspace
    _workspace(
        workspace,
        read,
        {
            "features.yaml": read.features,
            "catalog.yaml": catalog_yaml(
                mapping, channels=read.channels, timings=read.arms.timings, tonalities=read.arms.tonalities
            ),
            "offers.yaml": offers_yaml(read.spec.offer, read.offer_table, read.contacts.offer_ids, read.worth),
        },
    )
    notes = [f"Learned from {table.name}, {len(read.contacts):,} rows."]
    if mapping.propensity is None:
        notes.append(
            "Observational: the table does not say how likely each contact was. Acceptance is that of the people who "
            "were chosen, and no policy can be judged on it."
        )
    if read.late:
        days = mapping.window_us // DAY_US
        notes.append(f"{read.late:,} outcomes came after their window of {days} days: not counted.")
    out = Path("models") / settings.name / settings.version if out is None else out
    lesson = Lesson(read.contacts, read.spec, read.arms, settings, tuple(notes), workspace)
    return learn(lesson, out, overwrite=overwrite, as_json=as_json, console=console)


def goal_of(settings: Settings) -> Goal:
    """What counts as success in a log, and what as the opposite."""
    return Goal((settings.goal,), settings.window_us, attribution=settings.attribution, reactions=settings.reactions)


def from_archive(
    archive: Path, *, settings_file: Path, workspace: Path, out: Path | None, overwrite: bool, as_json: bool
) -> bool:
    """Train on the decisions of an archive whose windows have closed."""
    console = Console(stderr=as_json)
    settings, catalog = load_settings(settings_file), load_workspace(workspace)
    goal = goal_of(settings)
    with Steps(console) as steps:
        steps.show("reading the log", 0)
        logged = load(archive, catalog.spec, goal, candidates=False)
        steps.show("reading the log", 0.5)
        contacts = contacts_of(logged, catalog, reactions=bool(goal.reactions), untold="baseline" in settings.heads)
        steps.show("reading the log", 1)
    notes = [f"Learned from {len(logged.decisions):,} decisions of {archive}, {len(contacts):,} draws."]
    notes += [f"{name}: {count:,}" for name, count in sorted(logged.counts.items()) if count]
    del logged  # a large log would stand beside what is learned from it
    out = Path("models") / settings.name / settings.version if out is None else out
    lesson = Lesson(contacts, catalog.spec, arms_of(catalog), settings, tuple(notes), workspace)
    try:
        return learn(lesson, out, overwrite=overwrite, as_json=as_json, console=console)
    except (ModelError, PreconditionError) as error:
        # what the log lacks is seen by what was left out of it
        raise type(error)(f"{error} ({'; '.join(notes)})") from error


def _heads(read: TableRead) -> tuple[str, ...]:
    """The outputs that a table can teach, where no settings say which are wanted."""
    contacts = read.contacts
    accepted = contacts.happened & ~contacts.silent
    heads = ["uncertainty"]
    if contacts.silent.sum() >= 200 and contacts.happened[contacts.silent].sum() >= 20:
        heads.append("baseline")
    if len(set(contacts.reward[accepted].tolist())) > 1 and accepted.sum() >= 200:
        heads.append("value")
    if contacts.reacted is not None and contacts.reacted.sum() >= 50:
        heads.append("reaction")
    return tuple(heads)


def _workspace(directory: Path, read: TableRead, texts: Mapping[str, str]) -> None:
    """Write a new workspace, or hold the one that is there against the table's features."""
    if not (directory / "features.yaml").exists():
        write_skeleton(directory, texts)
        load_workspace(directory)
        return
    catalog = load_workspace(directory)
    if catalog.spec.model_fingerprint != read.spec.model_fingerprint:
        raise PreconditionError(
            f"{directory} has other features than the mapping gives: train in a new directory (--workspace), or bring "
            "them in line"
        )
    for what, ours, theirs in (
        ("timings", read.arms.timings, [timing.id for timing in catalog.timings]),
        ("tonalities", read.arms.tonalities, list(catalog.tonalities)),
    ):
        if missing := [name for name in theirs if name not in ours and len(ours) > 1]:
            raise PreconditionError(f"{directory} declares {what} that the table does not know: {', '.join(missing)}")


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PreconditionError(f"{path} is not there; name it with {option}") from None


def _show(console: Console, trained: Trained, found: Judgement, *, lesson: Lesson, out: Path, seconds: float) -> None:
    table = Table(title=f"Held out: {found.rows:,} contacts, {found.happened:,} accepted")
    for column in ("", "AUC [95% over people]", "log loss", "ECE", "observed / expected"):
        table.add_column(column, justify="left" if not column else "right")
    for name, quality in (("two towers", found.model), ("logistic regression", found.logistic)):
        cells = (f"{quality.log_loss:.4f}", f"{quality.ece:.4f}", f"{quality.observed_over_expected:.3f}")
        table.add_row(name, str(quality.auc), *cells)
    table.add_row("one rate for everybody", "0.5", f"{found.constant_log_loss:.4f}", "", "")
    console.print(table)
    used = ", ".join(f"{one.column} ({one.loss:+.3f})" for one in found.importance[:5])
    console.print(f"Uses most: {used}", highlight=False)
    for line in warnings(trained, found):
        console.print(f"[yellow]![/] {line}", highlight=False)
    for name, figure in figures(found).items():
        verdict = "[green]met[/]" if figure["ok"] else "[red]missed[/]"
        console.print(f"{name} {figure['value']} (bar {figure['bar']}): {verdict}", highlight=False)
    rows = len(lesson.contacts)
    pace = f", {seconds / rows * 1e6:.0f} s per million" if rows >= MANY_ROWS else ""
    console.print(f"{rows:,} rows in {seconds:.0f} s{pace}", highlight=False)
    console.print(f"Bundle and report are in {out}; serve them with", highlight=False)
    console.print(f"  takt serve --workspace {lesson.workspace} --model {out}", highlight=False, soft_wrap=True)
