"""A batch of records is read whatever layouts it mixes, and one bad record harms no other."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from takt.features.layout import Layout, layout_fingerprint, layout_json, parse_layout
from takt.features.reader import Raw, _Check, find_corrupt
from takt.features.record import ProfileRow, RecordReader, RowStatus, pack_profiles, unpack_rows
from takt.features.section import MISSING_TIME, TIME_BOUND
from takt.features.spec import Feature, FeatureSpec, FeatureType, Person, make_spec
from tests.unit.features.strategies import carried_over, profile_rows, specs, stored

PERSON = Person(("UTC", "Europe/Berlin"), ("de", "en"), ("web", "email"))
SPEC = make_spec(
    person=PERSON,
    profile=[
        Feature("spend", FeatureType.FLOAT),
        Feature("segment", FeatureType.CATEGORY, values=("budget", "premium")),
        Feature("interests", FeatureType.FLAGS, values=("garden", "kitchen")),
        Feature("lease_end", FeatureType.TIMESTAMP),
        Feature("visits", FeatureType.INT, default=3),
    ],
)
ROW = ProfileRow(
    {"spend": 1.5, "segment": "premium", "interests": ("garden",), "lease_end": 9, "visits": 1},
    frozenset({"email"}),
    "UTC",
    "en",
)
OK, UNKNOWN, CORRUPT = RowStatus.OK, RowStatus.UNKNOWN, RowStatus.CORRUPT


def record_of(spec: FeatureSpec = SPEC, row: ProfileRow = ROW) -> bytes:
    """One record."""
    return pack_profiles(spec, [row], 5)[0]


def read(reader: RecordReader, records: list[bytes | None]) -> tuple[list[ProfileRow], list[int]]:
    """Rows as values, and their statuses."""
    array, status = reader.read(records)
    assert [reader.spec.layout_fingerprint] * len(records) == array["layout"].tolist()
    return unpack_rows(reader.spec, array), status.tolist()


def test_unknown_people_have_defaults() -> None:
    """Where there is no record, the row holds defaults and no consent."""
    rows, status = read(RecordReader(SPEC, {}), [None, record_of(), None])

    assert [UNKNOWN, OK, UNKNOWN] == status
    assert [stored(SPEC, ProfileRow()), ROW, stored(SPEC, ProfileRow())] == rows


def test_an_empty_batch_is_read() -> None:
    """No records are no rows."""
    assert ([], []) == read(RecordReader(SPEC, {}), [])


def test_a_spec_without_features_is_read() -> None:
    """A header alone is a record."""
    spec = make_spec(person=PERSON)

    assert ([ProfileRow(locale="de")], [OK]) == read(RecordReader(spec, {}), [record_of(spec, ProfileRow(locale="de"))])


def changed(field: str, value: object) -> bytes:
    """The record with one stored field changed."""
    array = np.frombuffer(record_of(), SPEC.profile.dtype).copy()
    array[field] = value
    return array.tobytes()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x00",
        record_of()[:-1],
        record_of() + b"\x00",
        bytes(len(record_of())),
        b"\xff" * len(record_of()),
        changed("layout", 1),
        changed("consents", 4),
        changed("consents", 2**63),
        changed("locale", 3),
        changed("zone", 3),
        changed("address", 3),
        changed("state", 1),
        changed("cat", 3),
        changed("flags", 4),
        changed("num", np.inf),
        changed("num", -np.inf),
        changed("ts", 2**62 + 1),
        changed("ts", -(2**62) - 1),
    ],
)
def test_what_no_writer_wrote_degrades_its_own_row_only(damaged: bytes) -> None:
    """A record of the wrong length, layout or with values outside their range becomes the default row, alone."""
    rows, status = read(RecordReader(SPEC, {}), [record_of(), damaged, record_of(), None])

    assert [OK, CORRUPT, OK, UNKNOWN] == status
    assert [ROW, stored(SPEC, ProfileRow()), ROW, stored(SPEC, ProfileRow())] == rows


@given(st.binary(min_size=len(record_of()) - 8, max_size=len(record_of()) - 8))
@example(record_of()[8:])
def test_no_bytes_can_break_a_batch(rubbish: bytes) -> None:
    """Whatever stands behind a right fingerprint, the batch is read and shown and neighbours are untouched."""
    rows, status = read(RecordReader(SPEC, {}), [record_of()[:8] + rubbish, record_of()])

    assert [ROW, OK] == [rows[1], status[1]]
    assert OK == status[0] or (CORRUPT == status[0] and stored(SPEC, ProfileRow()) == rows[0])


@given(st.lists(st.binary(min_size=len(record_of()) - 32, max_size=len(record_of()) - 32), min_size=1, max_size=4))
@example([record_of()[32:]])
def test_what_is_corrupt_is_found_as_numpy_finds_it(blocks: list[bytes]) -> None:
    """The compiled search, its plain twin and a few array operations agree on blocks of any bytes."""
    rows = np.frombuffer(b"".join(record_of()[:32] + block for block in blocks), SPEC.profile.dtype)
    check = _Check(Layout(SPEC.person, SPEC.profile))
    expected = (rows["cat"] > 2).any(axis=1) | (rows["flags"] > 3).any(axis=1) | np.isinf(rows["num"]).any(axis=1)
    expected |= ((rows["ts"] > TIME_BOUND) | ((rows["ts"] < -TIME_BOUND) & (rows["ts"] != MISSING_TIME))).any(axis=1)
    found = np.empty(len(rows), np.bool_)

    assert expected.tolist() == check.corrupt(rows).tolist()
    raw = Raw(rows.view("<u2"), rows.view("<i8"), rows.view("<f4"))
    assert expected.sum() == find_corrupt.py_func(raw, check._largest, check._places, found)  # type: ignore[attr-defined]
    assert expected.tolist() == found.tolist()


OLDER = make_spec(
    person=Person(("Europe/Berlin", "Asia/Tokyo"), ("en",), ("sms", "email")),
    profile=[
        Feature("gone", FeatureType.FLOAT),
        Feature("visits", FeatureType.FLOAT),
        Feature("interests", FeatureType.FLAGS, values=("cars", "kitchen", "garden")),
        Feature("segment", FeatureType.CATEGORY, values=("luxury", "premium", "budget")),
        Feature("spend", FeatureType.FLOAT),
    ],
)


def test_older_records_are_read_by_name() -> None:
    """Features, values, consents, zones and locales are found wherever they stood; what changed type is missing."""
    row = ProfileRow(
        {"gone": 1.0, "visits": 2.0, "interests": ("cars", "garden"), "segment": "budget", "spend": 2.5},
        frozenset({"sms", "email"}),
        "Europe/Berlin",
        "en",
    )
    lost = ProfileRow({"segment": "luxury"}, frozenset({"sms"}), "Asia/Tokyo")
    reader = RecordReader(SPEC, {OLDER.layout_fingerprint: layout_json(OLDER)})

    rows, status = read(reader, [record_of(OLDER, lost), record_of(), record_of(OLDER, row), None])

    assert [OK, OK, OK, UNKNOWN] == status
    assert [
        ProfileRow({"interests": ()}),
        ROW,
        ProfileRow(
            {"interests": ("garden",), "segment": "budget", "spend": 2.5},
            frozenset({"email"}),
            "Europe/Berlin",
            "en",
        ),
        stored(SPEC, ProfileRow()),
    ] == rows


def test_when_an_older_record_was_written_is_kept() -> None:
    """Conversion does not make a record younger."""
    reader = RecordReader(SPEC, {OLDER.layout_fingerprint: layout_json(OLDER)})

    array, _ = reader.read([record_of(OLDER, ProfileRow())])

    assert [5] == array["written_us"].tolist()


def test_damaged_older_records_degrade_their_own_row_only() -> None:
    """An older record is held against its own vocabulary and length."""
    reader = RecordReader(SPEC, {OLDER.layout_fingerprint: layout_json(OLDER)})
    good = record_of(OLDER, ProfileRow({"segment": "budget"}))
    array = np.frombuffer(good, OLDER.profile.dtype).copy()
    array["cat"] = 4

    rows, status = read(reader, [array.tobytes(), good, good[:-8], good + bytes(8)])

    assert [CORRUPT, OK, CORRUPT, CORRUPT] == status
    assert [CORRUPT] == read(reader, [good[:-8]])[1]
    assert ["budget"] == [row.features["segment"] for row in rows if "segment" in row.features]


def test_an_older_record_of_the_current_size_is_converted() -> None:
    """The fingerprint tells layouts apart, not the size."""
    older = make_spec(person=PERSON, profile=[Feature("old", FeatureType.FLOAT), Feature("kept", FeatureType.FLOAT)])
    newer = make_spec(person=PERSON, profile=[Feature("kept", FeatureType.FLOAT), Feature("new", FeatureType.FLOAT)])
    reader = RecordReader(newer, {older.layout_fingerprint: layout_json(older)})

    assert older.profile.dtype.itemsize == newer.profile.dtype.itemsize
    assert ([ProfileRow({"kept": 2.0})], [OK]) == read(
        reader, [record_of(older, ProfileRow({"old": 1.0, "kept": 2.0}))]
    )


def test_damaged_layouts_are_listed() -> None:
    """A registered layout that cannot be read, or stands under another's fingerprint, is reported, not used."""
    text = layout_json(OLDER)
    for fingerprint, broken in ((5, text), (layout_fingerprint(text[:-1]), text[:-1])):
        reader = RecordReader(SPEC, {fingerprint: broken})

        assert [fingerprint] == list(reader.unreadable)
        assert [CORRUPT, OK] == read(reader, [record_of(OLDER, ProfileRow()), record_of()])[1]


@given(st.data(), specs(), specs())
def test_any_layout_is_read_under_any_spec(data: st.DataObject, old: FeatureSpec, new: FeatureSpec) -> None:
    """A mixed batch equals its rows matched by name in plain Python, one by one."""
    reader = RecordReader(new, {old.layout_fingerprint: layout_json(old)})
    olds = data.draw(st.lists(profile_rows(old), min_size=1, max_size=3))
    news = data.draw(st.lists(profile_rows(new), max_size=2))
    expected = [carried_over(old, new, row) for row in olds] + [stored(new, row) for row in news]
    if old.layout_fingerprint == new.layout_fingerprint:
        expected = [stored(new, row) for row in (*olds, *news)]
        expected[: len(olds)] = [stored(old, row) for row in olds]

    rows, status = read(reader, [*pack_profiles(old, olds, 1), *pack_profiles(new, news, 2)])

    assert [OK] * len(expected) == status
    assert expected == rows


@given(specs())
def test_a_layout_survives_its_text(spec: FeatureSpec) -> None:
    """What is registered describes the records exactly."""
    layout = parse_layout(layout_json(spec))

    assert spec.profile.dtype == layout.profile.dtype
    assert spec.person == layout.person
    assert layout_json(spec) == layout_json(layout)
