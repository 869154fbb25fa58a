"""Values fit the spec or are refused by name, and what is packed can be read back."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from takt.domain.person import Address
from takt.domain.request import Scalar
from takt.errors import InvalidRequestError, RecordError, Violation
from takt.features.record import (
    ProfileRow,
    RecordReader,
    pack_profiles,
    pack_section,
    put_column,
    unpack_profile,
    unpack_rows,
    validate,
    validate_profile,
    written_us,
)
from takt.features.section import MISSING_TIME
from takt.features.spec import Feature, FeatureSpec, FeatureType, Person, Source, make_spec
from tests.unit.features.strategies import profile_rows, specs, stored

SPEC = make_spec(
    person=Person(("UTC", "Europe/Berlin"), ("de-DE",), ("web", "email")),
    profile=[
        Feature("spend", FeatureType.FLOAT, low=0.0),
        Feature("share", FeatureType.FLOAT, low=0.0, high=1.0),
        Feature("visits", FeatureType.INT, default=0),
        Feature("free", FeatureType.FLOAT),
        Feature("count", FeatureType.INT),
        Feature("member", FeatureType.BOOL),
        Feature("segment", FeatureType.CATEGORY, values=("budget", "premium")),
        Feature("interests", FeatureType.FLAGS, values=("garden", "kitchen")),
        Feature("lease_end", FeatureType.TIMESTAMP, low=946_684_800_000_000),
        Feature("seen", FeatureType.TIMESTAMP),
    ],
    context=[
        Feature("hour", FeatureType.INT, source=Source.SERVICE),
        Feature("stage", FeatureType.CATEGORY, values=("evaluate", "purchase"), source=Source.SERVICE),
        Feature("page", FeatureType.CATEGORY, values=("home", "basket"), default="home"),
    ],
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ()),
        ({"spend": 1, "visits": 2, "member": False, "segment": "budget", "interests": (), "seen": -5}, ()),
        ({"spend": math.nan}, ()),
        ({"spent": 1.0}, (Violation("spent", "profile has no such feature; did you mean 'spend'?"),)),
        ({"spend": "1"}, (Violation("spend", "must be a number (type float), not a text"),)),
        ({"spend": True}, (Violation("spend", "must be a number (type float), not a bool"),)),
        ({"visits": True}, (Violation("visits", "must be a whole number (type int), not a bool"),)),
        ({"visits": 1.0}, (Violation("visits", "must be a whole number (type int), not a float"),)),
        ({"member": 1}, (Violation("member", "must be true or false (type bool), not a whole number"),)),
        ({"segment": ("budget",)}, (Violation("segment", "must be a text (type category), not a list"),)),
        ({"interests": "garden"}, (Violation("interests", "must be a list of texts (type flags), not a text"),)),
        ({"seen": "2017-01-01"}, (Violation("seen", "must be a timestamp (type timestamp), not a text"),)),
        ({"spend": -0.5}, (Violation("spend", "must be 0.0 or more"),)),
        ({"spend": math.inf}, (Violation("spend", "is too large to be stored"),)),
        ({"share": 1.5}, (Violation("share", "must be from 0.0 to 1.0"),)),
        ({"free": 1e39}, (Violation("free", "is too large to be stored"),)),
        ({"count": 2**24 + 1}, (Violation("count", "must be from -16777216 to 16777216"),)),
        ({"seen": 2**63}, (Violation("seen", "is too large to be stored"),)),
        ({"lease_end": 5}, (Violation("lease_end", "must be 2000-01-01T00:00:00+00:00 or more"),)),
        ({"segment": "premum"}, (Violation("segment", "'premum' is not one of its values; did you mean 'premium'?"),)),
        (
            {"interests": ("garden", "cars")},
            (Violation("interests", "'cars' is not one of its values; known are 'garden', 'kitchen'"),),
        ),
    ],
)
def test_a_value_fits_or_is_named(values: Mapping[str, Scalar], expected: tuple[Violation, ...]) -> None:
    """A wrong value gives one violation that says what would be right."""
    assert expected == validate(SPEC.profile, values)


def test_violations_carry_the_prefix() -> None:
    """The caller says where in its request the values stand, and every violation is found."""
    found = validate(SPEC.context, {"page": "hom", "pag": 1}, "requests[2].context.")

    assert ["requests[2].context.page", "requests[2].context.pag"] == [v.field for v in found]


def test_absurd_names_are_cut() -> None:
    """A name of any length gives a message of bearable length."""
    (violation,) = validate(SPEC.profile, {"x" * 10_000: 1})

    assert len(violation.field) < 100


def test_what_the_service_fills_is_refused_from_a_caller() -> None:
    """A caller cannot say which hour it is; the service can."""
    assert (Violation("hour", "is filled by the service; leave it out"),) == validate(SPEC.context, {"hour": 3})
    assert () == validate(SPEC.context, {"hour": 3}, source=Source.SERVICE)


def test_a_profile_names_what_is_declared() -> None:
    """Consents, zone and locale that the spec does not know are refused with features that it does not know."""
    row = ProfileRow({"visits": "x"}, frozenset({"wep"}), "Europe/Berln", "en-GB")

    assert (
        Violation("profiles[0].features.visits", "must be a whole number (type int), not a text"),
        Violation("profiles[0].consents", "consent 'wep' is not declared; did you mean 'web'?"),
        Violation("profiles[0].time_zone", "time zone 'Europe/Berln' is not declared; did you mean 'Europe/Berlin'?"),
        Violation("profiles[0].locale", "locale 'en-GB' is not declared; known are 'de-DE'"),
    ) == validate_profile(SPEC, row, "profiles[0].")


def test_packing_refuses_what_does_not_fit() -> None:
    """All rows' mistakes are named; nothing is packed."""
    with pytest.raises(InvalidRequestError) as caught:
        pack_profiles(SPEC, [ProfileRow({"visits": 1}), ProfileRow({"visits": True}), ProfileRow(locale="xx")], 1)

    assert ["[1].features.visits", "[2].locale"] == [v.field for v in caught.value.violations]


def test_a_section_is_packed_with_its_defaults() -> None:
    """Rows of a context are an array; what is not given has its default or is missing."""
    array = pack_section(SPEC.context, [{}, {"page": "basket", "hour": 7}])

    assert [[1, 0], [2, 0]] == [sorted(row, reverse=True) for row in array["cat"].tolist()]
    assert np.array_equal([[np.nan], [7.0]], array["num"], equal_nan=True)


def test_a_section_names_what_does_not_fit() -> None:
    """Values that no one checked before are refused with row and name, those of the service too."""
    with pytest.raises(InvalidRequestError) as caught:
        pack_section(SPEC.context, [{"page": "home"}, {"stage": "x", "hour": 1.5, "pge": "home"}])

    assert {"[1].stage", "[1].hour", "[1].pge"} == {v.field for v in caught.value.violations}


def test_the_service_fills_whole_columns() -> None:
    """What the service knows of all rows is written at once, and only where it is declared."""
    array = pack_section(SPEC.context, [{}, {}])

    put_column(SPEC.context, array, "stage", [2, 1])
    put_column(SPEC.context, array, "weekday", [3, 4])

    column = SPEC.context.places["stage"].column
    assert [2, 1] == array["cat"][:, column].tolist()


def test_an_empty_batch_is_packed() -> None:
    """No rows are no records."""
    assert [] == pack_profiles(SPEC, [], 1)
    assert 0 == len(pack_section(SPEC.context, []))


def test_a_record_says_when_it_was_packed() -> None:
    """The header's time can be read without the rest, and what has no header is refused."""
    (record,) = pack_profiles(SPEC, [ProfileRow()], 1_500_000_000_000_000)

    assert 1_500_000_000_000_000 == written_us(record)
    with pytest.raises(RecordError, match="31 bytes"):
        written_us(record[:31])


def test_all_consents_fit() -> None:
    """The last of 64 consents and the last of 64 flags are as good as the first."""
    names = tuple(f"c{i}" for i in range(64))
    spec = make_spec(person=Person(consents=names), profile=[Feature("f", FeatureType.FLAGS, values=names)])
    row = ProfileRow({"f": names}, frozenset(names))

    records = pack_profiles(spec, [row, ProfileRow({"f": ("c63",)}, frozenset({"c63"}))], 1)

    assert row == unpack_profile(RecordReader(spec, {}), records[0])
    assert {"c63"} == unpack_profile(RecordReader(spec, {}), records[1]).consents


def test_missing_is_missing() -> None:
    """What is missing and has no default is stored as missing and left out when read."""
    (record,) = pack_profiles(SPEC, [ProfileRow({"spend": math.nan})], 1)
    rows, _ = RecordReader(SPEC, {}).read([record])

    assert np.isnan(rows["num"][0]).tolist() == [True, True, False, True, True, True]
    assert [MISSING_TIME, MISSING_TIME] == rows["ts"][0].tolist()
    assert ProfileRow({"visits": 0, "interests": ()}) == unpack_rows(SPEC, rows)[0]


def test_a_damaged_record_is_not_shown() -> None:
    """A person is never shown values that were read from rubbish."""
    (record,) = pack_profiles(SPEC, [ProfileRow()], 1)

    with pytest.raises(RecordError, match="damaged"):
        unpack_profile(RecordReader(SPEC, {}), record[:-1])


@given(st.data(), specs())
def test_what_is_packed_is_read(data: st.DataObject, spec: FeatureSpec) -> None:
    """Any row of any spec comes back from its record, with defaults where nothing was given."""
    rows = data.draw(st.lists(profile_rows(spec), max_size=4))
    reader = RecordReader(spec, {})

    array, status = reader.read(pack_profiles(spec, rows, 7))

    assert [0] * len(rows) == status.tolist()
    assert [stored(spec, row) for row in rows] == unpack_rows(spec, array)
    assert all(isinstance(row.address, Address) for row in unpack_rows(spec, array))
