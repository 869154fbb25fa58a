"""A feature spec is read whole or refused whole, and its fingerprints change exactly when its meaning does."""

import re

import numpy as np
import pytest

from takt.errors import WorkspaceError
from takt.features.matrix import model_columns
from takt.features.spec import Feature, FeatureType, Person, Sensitivity, Source, load_spec

SPEC = """\
person:
  time_zones: [Europe/Berlin, UTC]
  locales: [de-DE, en-GB]
  consents: [web.personalisation, email.marketing]
profile:
  - {name: recency_days, type: float, min: 0, description: days since the last purchase}
  - {name: visits_30d, type: int, default: 0}
  - {name: member, type: bool, default: false}
  - {name: segment, type: category, values: [budget, premium]}
  - {name: interests, type: flags, values: [garden, kitchen]}
  - {name: lease_end, type: timestamp, min: 2000-01-01T00:00:00Z, model: false, sensitivity: personal}
context:
  - {name: hour, type: int, source: service}
  - {name: page, type: category, values: [home, basket], default: home}
offer:
  - {name: price, type: float}
"""


def refused(text: str) -> list[str]:
    """Every violation of a spec, as `field: message`."""
    with pytest.raises(WorkspaceError) as caught:
        load_spec(text)
    return [f"{v.field}: {v.message}" for v in caught.value.violations]


def test_declarations_are_read() -> None:
    """Every key of the format arrives in the spec."""
    spec = load_spec(SPEC)

    assert (
        Person(("Europe/Berlin", "UTC"), ("de-DE", "en-GB"), ("web.personalisation", "email.marketing")) == spec.person
    )
    assert (
        Feature("recency_days", FeatureType.FLOAT, low=0.0, description="days since the last purchase")
        == spec.profile["recency_days"]
    )
    assert Feature("visits_30d", FeatureType.INT, default=0) == spec.profile["visits_30d"]
    assert Feature("segment", FeatureType.CATEGORY, values=("budget", "premium")) == spec.profile["segment"]
    assert (
        Feature(
            "lease_end",
            FeatureType.TIMESTAMP,
            low=946_684_800_000_000,
            sensitivity=Sensitivity.PERSONAL,
            model=False,
        )
        == spec.profile["lease_end"]
    )
    assert Feature("hour", FeatureType.INT, source=Source.SERVICE) == spec.context["hour"]


def test_an_empty_file_is_an_empty_spec() -> None:
    """A service without features is possible: sections have no features, and rows still have a size."""
    spec = load_spec("")

    assert () == spec.profile.features
    assert 32 == spec.profile.dtype.itemsize
    assert 8 == spec.context.dtype.itemsize


def test_a_record_of_64_floats_fits_the_store() -> None:
    """64 float features take at most 344 bytes, which a store keeps in 400 with its key."""
    spec = load_spec("profile:\n" + "".join(f"  - {{name: f{i}, type: float}}\n" for i in range(64)))

    assert 288 == spec.profile.dtype.itemsize


def test_blocks_are_contiguous_and_aligned() -> None:
    """A section's rows are the header and four blocks, a multiple of eight bytes wide."""
    dtype = load_spec(SPEC).profile.dtype

    assert dtype.fields is not None
    assert [("ts", 32, (1,)), ("flags", 40, (1,)), ("num", 48, (3,)), ("cat", 60, (1,))] == [
        (name, dtype.fields[name][1], dtype.fields[name][0].shape) for name in ("ts", "flags", "num", "cat")
    ]
    assert 0 == dtype.itemsize % 8


def test_the_default_row_holds_the_defaults() -> None:
    """What has a default has it, the rest is missing."""
    row = load_spec(SPEC).profile.default[0]

    assert np.array_equal([np.nan, 0.0, 0.0], row["num"], equal_nan=True)
    assert [-(2**63)] == row["ts"].tolist()
    assert [0] == row["cat"].tolist()
    assert [0] == row["flags"].tolist()


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("persn: {}", "1: persn", "unknown key 'persn'; did you mean 'person'?"),
        ("profile: {}", "1: profile", "is a mapping; a list is needed"),
        (
            "profile:\n- {type: int}",
            "2: profile[0].name",
            "is missing; text is needed",
        ),
        (
            "profile:\n- {name: a}",
            "2: profile[0].type",
            "is missing; one of float, int, bool, category, flags, timestamp is needed",
        ),
        ("profile:\n- {name: a, type: flot}", "2: profile[0].type", "type 'flot' is unknown; did you mean 'float'?"),
        (
            "profile:\n- {name: a, type: int, vlues: [x]}",
            "2: profile[0].vlues",
            "unknown key 'vlues'; did you mean 'values'?",
        ),
        (
            "profile:\n- {name: a, type: int, name: b}",
            "2: profile[0].name",
            "the key is given twice, first on line 2; keep one",
        ),
        (
            "profile:\n- {name: a, type: int}\n- {name: a, type: int}",
            "3: profile[1].name",
            "'a' is declared twice, first on line 2; rename or remove one",
        ),
        (
            "profile:\n- {name: a, type: int, values: [x]}",
            "2: profile[0].values",
            "a int has no values; remove the key, or write type: category",
        ),
        ("profile:\n- {name: a, type: category}", "2: profile[0].values", "is missing; a list of texts is needed"),
        ("profile:\n- {name: a, type: flags, values: []}", "2: profile[0].values", "is empty; list at least one value"),
        (
            "profile:\n- {name: a, type: category, values: [x, x]}",
            "2: profile[0].values[1]",
            "'x' is given twice; keep one",
        ),
        ("profile:\n- {name: a, type: category, values: [x, 1]}", "2: profile[0].values[1]", "is 1; text is needed"),
        (
            "profile:\n- {name: a, type: category, values: [x, yes], default: no}",
            "2: profile[0].default",
            "value 'no' is unknown; known are 'x', 'yes'",
        ),
        (
            "profile:\n- {name: a, type: flags, values: [x], default: [y]}",
            "2: profile[0].default[0]",
            "'y' is not one of the values; known are 'x'",
        ),
        ("profile:\n- {name: a, type: bool, default: 1}", "2: profile[0].default", "is 1; true or false is needed"),
        (
            "profile:\n- {name: a, type: int, default: true}",
            "2: profile[0].default",
            "is true; a whole number from -16777216 to 16777216 is needed",
        ),
        (
            "profile:\n- {name: a, type: int, default: 1.0}",
            "2: profile[0].default",
            "is 1.0; a whole number from -16777216 to 16777216 is needed",
        ),
        (
            "profile:\n- {name: a, type: int, max: 16777217}",
            "2: profile[0].max",
            "is 16777217; a whole number from -16777216 to 16777216 is needed",
        ),
        ("profile:\n- {name: a, type: int, min: 2, max: 1}", "2: profile[0].max", "is less than min; swap them"),
        (
            "profile:\n- {name: a, type: int, max: 1, default: 2}",
            "2: profile[0].default",
            "lies outside min and max; move it or widen them",
        ),
        ("profile:\n- {name: a, type: bool, min: 0}", "2: profile[0].min", "a bool has no bounds; remove the key"),
        (
            "profile:\n- {name: a, type: timestamp, default: 2017-01-01}",
            "2: profile[0].default",
            "is '2017-01-01'; a moment with its offset, like 2017-10-01T00:00:00Z, is needed",
        ),
        (
            "profile:\n- {name: a, type: int, source: service}",
            "2: profile[0].source",
            "only context features can be filled by the service; remove the key",
        ),
        (
            "context:\n- {name: day, type: int, source: service}",
            "2: context[0].source",
            "the service does not fill 'day'; it fills channel, stage, hour, weekday",
        ),
        (
            "context:\n- {name: hour, type: float, source: service}",
            "2: context[0].type",
            "the service fills 'hour' with a int; write type: int",
        ),
        (
            "profile:\n- {name: a, type: int, sensitivity: high}",
            "2: profile[0].sensitivity",
            "sensitivity 'high' is unknown; known are 'none', 'personal', 'special'",
        ),
        ("profile:\n- {name: a, type: int, model: 1}", "2: profile[0].model", "is 1; true or false is needed"),
        (
            "person: {time_zones: [Europe/Berln]}",
            "1: person.time_zones[0]",
            "'Europe/Berln' is no IANA time zone; write one like 'Europe/Berlin'",
        ),
        (
            "person: {time_zones: [../etc]}",
            "1: person.time_zones[0]",
            "'../etc' is no IANA time zone; write one like 'Europe/Berlin'",
        ),
        ("person: {locales: [DE]}", "1: person.locales[0]", "'DE' is no locale; write one like 'de' or 'de-DE'"),
        (
            "person: {consents: [A b]}",
            "1: person.consents[0]",
            "'A b' is no name of a consent; use small letters, digits and . _ -, at most 64",
        ),
        ("profile: [", "2", "not readable as YAML: did not find expected node content"),
    ],
)
def test_each_mistake_is_named_with_its_place(text: str, where: str, message: str) -> None:
    """A mistake gives one violation, with file, line, key and what would be right."""
    assert [f"features.yaml:{where}: {message}"] == refused(text)


@pytest.mark.parametrize("name", ["in", "1st", "a-b", "a.b", "", "x" * 65, "größe"])
def test_a_name_must_be_usable_in_a_rule(name: str) -> None:
    """Names that CEL cannot read as a member are refused."""
    found = refused(f"profile:\n- {{name: {name!r}, type: int}}")

    assert 1 == len(found)
    assert found[0].startswith("features.yaml:2: profile[0].name: ")


def test_a_vocabulary_has_a_size() -> None:
    """More flags than bits are refused."""
    values = ", ".join(f"v{i}" for i in range(65))

    assert ["features.yaml:1: profile[0].values: has 65 entries; at most 64 fit"] == refused(
        f"profile: [{{name: a, type: flags, values: [{values}]}}]"
    )


def test_all_mistakes_are_found_at_once() -> None:
    """Nothing stops at the first mistake."""
    found = refused("person: {locales: [DE]}\nprofile:\n- {name: a, type: flot}\n- 5\nextra: 1\n")

    assert 4 == len(found)


def replaced(pattern: str, by: str) -> str:
    """The spec with one edit."""
    text, count = re.subn(pattern, by, SPEC, count=1, flags=re.MULTILINE)
    assert 1 == count
    return text


MEMBER = "  - {name: member, type: bool, default: false}\n"
SEGMENT = "  - {name: segment, type: category, values: [budget, premium]}\n"


@pytest.mark.parametrize(
    ("edit", "layout_changes", "model_changes"),
    [
        (("description: days", "description: full days"), False, False),
        (("min: 0", "min: 1"), False, False),
        (("sensitivity: personal", "sensitivity: special"), False, False),
        (("default: 0}", "default: 1}"), False, True),
        (("default: 0}", "default: 0, model: false}"), False, True),
        (("name: visits_30d", "name: visits"), True, True),
        (("name: lease_end", "name: lease_until"), True, False),
        (("name: visits_30d, type: int", "name: visits_30d, type: float"), True, True),
        ((r"\[budget, premium\]", "[premium, budget]"), True, True),
        ((r"\[budget, premium\]", "[budget, premium, luxury]"), True, True),
        ((r"\[garden, kitchen\]", "[kitchen, garden]"), True, True),
        (("de-DE, en-GB", "de-DE, en-GB, fr"), True, False),
        (("Berlin, UTC", "Berlin"), True, False),
        (("email.marketing", "sms.marketing"), True, False),
        (("^context", "  - {name: extra, type: int, model: false}\ncontext"), True, False),
        (("^context", "  - {name: extra, type: int}\ncontext"), True, True),
        ((MEMBER + SEGMENT, SEGMENT + MEMBER), False, False),
        (("values: .home, basket.", "values: [home, basket, list]"), False, True),
        (("default: home", "default: basket"), False, True),
        (("name: price", "name: cost"), False, True),
        (("^offer", "  - {name: referrer, type: int, model: false}\noffer"), False, False),
    ],
)
def test_fingerprints_change_with_meaning_only(
    edit: tuple[str, str], layout_changes: bool, model_changes: bool
) -> None:
    """The layout's changes when records are packed otherwise, the model's when a model would see something else."""
    pattern, by = edit
    before, after = (
        load_spec(SPEC),
        load_spec(replaced(re.escape(pattern) if pattern.startswith("  -") else pattern, by)),
    )

    assert (layout_changes, model_changes) == (
        before.layout_fingerprint != after.layout_fingerprint,
        before.model_fingerprint != after.model_fingerprint,
    )


def test_order_of_unlike_storage_changes_neither_records_nor_columns() -> None:
    """Why moving a bool behind a category keeps both fingerprints: bytes and columns are the same."""
    before = load_spec(SPEC).profile
    after = load_spec(SPEC.replace(MEMBER + SEGMENT, SEGMENT + MEMBER)).profile

    assert before.dtype == after.dtype
    assert model_columns(before) == model_columns(after)
