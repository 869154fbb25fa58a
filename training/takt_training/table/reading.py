"""A table and its mapping to contacts, held against everything that would make a model of them worthless."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from msgspec import Struct

from takt.errors import NotFoundError
from takt.features.matrix import model_matrix
from takt.features.record import put_column
from takt.features.section import MISSING_TIME, FeatureType, Section
from takt.features.spec import FeatureSpec, load_spec
from takt_training.joint.contacts import NONE, Bools, Contacts, Floats, Ints
from takt_training.joint.training import Arms
from takt_training.table.columns import HEADER_ROWS, Columns
from takt_training.table.mapping import Attribute, Source, TableMapping
from takt_training.table.skeleton import features_yaml

Values = npt.NDArray[np.generic]


class TableRead(Struct, frozen=True, eq=False):
    """What came of a table."""

    contacts: Contacts
    spec: FeatureSpec
    features: str
    """`features.yaml` as text."""
    arms: Arms
    channels: tuple[str, ...]
    offer_table: npt.NDArray[np.void]
    """Structured [m], as `contacts.offers`."""
    worth: dict[str, float]
    """Mean value of an acceptance by offer id, 1 where the table knows none."""
    late: int
    """Outcomes after their window, which do not count."""


def read_table(path: Path, mapping: TableMapping) -> TableRead:
    """Read a CSV file. Raises WorkspaceError with everything wrong, each at the mapping's line; NotFoundError."""
    try:
        table = pd.read_csv(path, sep=mapping.separator, dtype="str", keep_default_na=False, na_filter=False)
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there; name the table with --table") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise NotFoundError(f"{path} cannot be read as a table separated by {mapping.separator!r}: {error}") from error
    columns = Columns(table, path.name, mapping.zone)
    _refuse_duplicates(table, mapping, path.name)
    time_us = columns.moments(mapping.time)
    _refuse_missing(mapping.time, time_us == MISSING_TIME, path.name)
    person, _ = columns.codes(mapping.person)
    _refuse_missing(mapping.person, person < 0, path.name)
    happened, late = _outcome(columns, mapping, time_us)
    offer_code, offer_ids = columns.names(mapping.offer)
    timing, timings = _arm(columns, mapping.timing, "now")
    tonality, tonalities = _arm(columns, mapping.tonality, "neutral")
    channel, channels = _arm(columns, mapping.channel, "web")
    stored, vocabularies = _stored(columns, mapping, time_us)
    propensity, reward, reacted = _figures(columns, mapping, happened)
    mapping.problems.raise_any()
    features = features_yaml(mapping, vocabularies, channels)
    spec = load_spec(features)
    offer, offer_table, ids = _offers(spec.offer, stored, offer_code, offer_ids)
    context = _section(spec.context, stored, "context", len(table))
    put_column(spec.context, context, "channel", (channel + 1).astype(np.uint16))
    now = time_us[:, None]
    profile = model_matrix(spec.profile, _section(spec.profile, stored, "profile", len(table)), now)
    silent = offer == NONE
    contacts = Contacts(
        profile=profile,
        row=np.arange(len(table)),
        context=model_matrix(spec.context, context, now),
        offers=model_matrix(spec.offer, offer_table, 0),
        offer_ids=ids,
        offer=offer,
        timing=np.where(silent, NONE, timing),
        tonality=np.where(silent, NONE, tonality),
        time_us=time_us,
        person=person,
        happened=happened,
        reward=reward,
        propensity=propensity,
        reacted=reacted,
    )
    return TableRead(
        contacts, spec, features, Arms(timings, tonalities), channels, offer_table, _worth(contacts, mapping), late
    )


def _refuse_duplicates(table: pd.DataFrame, mapping: TableMapping, filename: str) -> None:
    """The same row twice is the same contact twice: it would be learned from, and judged by, as two."""
    again = table.duplicated().to_numpy()
    if again.any():
        at = int(np.flatnonzero(again)[0])
        mapping.person.node.problems.add(
            filename,
            f"{int(again.sum()):,} rows say exactly what an earlier row says, first row {at + HEADER_ROWS}: a contact "
            "that is there twice counts twice; drop the copies, or add the column that tells them apart",
        )


def _refuse_missing(source: Source, missing: Bools, filename: str) -> None:
    if missing.any() and not source.node.problems:
        at = int(np.flatnonzero(missing)[0])
        source.fail(
            f"{filename}, row {at + HEADER_ROWS}: is empty; every row needs it ({int(missing.sum()):,} lack it)"
        )


def _outcome(columns: Columns, mapping: TableMapping, time_us: Ints) -> tuple[Bools, int]:
    """Whether the goal was reached within the window, and how many reached it too late."""
    happened = columns.truths(mapping.outcome, empty=True) == 1.0
    if mapping.happened_at is None:
        return happened, 0
    at = columns.moments(mapping.happened_at)
    known = happened & (at != MISSING_TIME) & (time_us != MISSING_TIME)
    early = known & (at < time_us)
    if early.any():
        row = int(np.flatnonzero(early)[0]) + HEADER_ROWS
        mapping.happened_at.fail(
            f"{columns.filename}: {int(early.sum()):,} of {int(known.sum()):,} outcomes lie before their contact "
            f"(first row {row}); the times are of other rows, shuffled, or of another zone"
        )
    late = known & (at > time_us + mapping.window_us)
    return happened & ~late, int(late.sum())


def _arm(columns: Columns, source: Source | None, default: str) -> tuple[Ints, tuple[str, ...]]:
    """Indices, and names; one default name where the table has no such column."""
    if source is None:
        return np.zeros(len(columns), np.int64), (default,)
    codes, names = columns.names(source)
    return codes, names or (default,)


def _figures(columns: Columns, mapping: TableMapping, happened: Bools) -> tuple[Floats, Floats, Bools | None]:
    """Propensity, value and negative reaction of each row."""
    propensity = np.ones(len(columns))
    if mapping.propensity is not None:
        propensity = columns.numbers(mapping.propensity)
        bad = ~((propensity > 0) & (propensity <= 1))
        if bad.any():
            row = int(np.flatnonzero(bad)[0]) + HEADER_ROWS
            mapping.propensity.fail(
                f"{columns.filename}, row {row}: a probability above 0 and at most 1 is needed; "
                f"{int(bad.sum()):,} rows have none"
            )
    reward = np.where(happened, 1.0, 0.0)
    if mapping.value is not None:
        reward = np.where(happened, np.nan_to_num(columns.numbers(mapping.value)), 0.0)
    reacted = None
    if mapping.reaction is not None:
        reacted = columns.truths(mapping.reaction, empty=True) == 1.0
    return propensity, reward, reacted


def _stored(
    columns: Columns, mapping: TableMapping, time_us: Ints
) -> tuple[dict[tuple[str, str], Values], dict[tuple[str, str], tuple[str, ...]]]:
    """Every feature as it is stored in a record, by section and name; and the values of categories."""
    stored: dict[tuple[str, str], Values] = {}
    vocabularies: dict[tuple[str, str], tuple[str, ...]] = {}
    for section, one in mapping.attributes():
        key = section, one.name
        _refuse_later(columns, one, time_us)
        match one.type:
            case FeatureType.CATEGORY:
                codes, values = columns.codes(one.source)
                stored[key], vocabularies[key] = (codes + 1).astype(np.uint16), values
                if not values:
                    one.source.fail("has no value in any row; leave it out")
            case FeatureType.TIMESTAMP:
                stored[key] = columns.moments(one.source)
            case FeatureType.BOOL:
                stored[key] = columns.truths(one.source)
            case _:
                stored[key] = columns.numbers(one.source, whole=one.type is FeatureType.INT)
    return stored, vocabularies


def _refuse_later(columns: Columns, one: Attribute, time_us: Ints) -> None:
    """A value that became known after the contact was not there to decide by."""
    if one.known_at is None:
        return
    at = columns.moments(one.known_at)
    later = (at != MISSING_TIME) & (time_us != MISSING_TIME) & (at > time_us)
    if later.any():
        row = int(np.flatnonzero(later)[0]) + HEADER_ROWS
        one.known_at.node.fail(
            f"feature {one.name!r} was known only after the contact in {int(later.sum()):,} of {len(columns):,} rows "
            f"(first row {row} of {columns.filename}); take it as it was before, or leave it out"
        )


def _section(section: Section, stored: dict[tuple[str, str], Values], name: str, n: int) -> npt.NDArray[np.void]:
    array = np.repeat(section.default, n)
    for (where, feature), values in stored.items():
        if where == name:
            put_column(section, array, feature, values)
    return array


def _offers(
    section: Section, stored: dict[tuple[str, str], Values], code: Ints, ids: tuple[str, ...]
) -> tuple[Ints, npt.NDArray[np.void], tuple[str, ...]]:
    """One row per offer and set of attributes that occurs: its index per row, the table, the ids."""
    rows = _section(section, stored, "offer", len(code))
    said = np.flatnonzero(code >= 0)
    frame = pd.DataFrame({"code": code[said]})
    for (where, name), values in stored.items():
        if where == "offer":
            frame[name] = values[said]
    group = frame.groupby(list(frame.columns), dropna=False, sort=True).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    offer = np.full(len(code), NONE, np.int64)
    offer[said] = group
    return offer, rows[said[first]], tuple(ids[i] for i in code[said[first]].tolist())


def _worth(contacts: Contacts, mapping: TableMapping) -> dict[str, float]:
    names = sorted(set(contacts.offer_ids))
    if mapping.value is None:
        return dict.fromkeys(names, 1.0)
    accepted = contacts.happened & ~contacts.silent
    overall = float(contacts.reward[accepted].mean()) if accepted.any() else 1.0
    of = np.array([names.index(name) for name in contacts.offer_ids], np.int64)[contacts.offer[accepted]]
    hits = np.bincount(of, minlength=len(names))
    total = np.bincount(of, contacts.reward[accepted], len(names))
    # a handful of acceptances counts as ten of everybody's
    worth = (total + 10 * overall) / (hits + 10)
    return {name: round(float(value), 4) for name, value in zip(names, worth, strict=True)}
