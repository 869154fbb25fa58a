"""Settings in YAML: defaults, and every mistake with its file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from takt.clock import DAY_US
from takt.errors import NotFoundError, WorkspaceError
from takt_training.joint.settings import Settings, check_monotone, load_settings, parse_settings


def test_a_name_is_enough() -> None:
    """Everything else has a default."""
    assert Settings("shop") == parse_settings("name: shop\n")


def test_everything_can_be_set() -> None:
    """Each key arrives where it belongs."""
    found = parse_settings(
        "name: shop\nversion: 2.1.0\ngoal: purchase\nwindow: 7d\nunit: EUR\nseed: 3\n"
        "split: {by: both, test: 0.3, stop: 0.05, calibrate: 0.05, embargo: 1d}\n"
        "heads: [value, uncertainty]\ncalibration: isotonic\nweights: {clip: 20}\nmonotone: {offer.price: down}\n"
        "model: {hidden: 8, rank: 2, batch: 256, epochs: 5, patience: 1, rate: 0.02, penalty: 1.0, code_dropout: 0.1,\n"
        "  modesty: 0.5}\n"
        "trusted: [profile.lease_end]\nlift: any\n"
    )

    assert ("both", DAY_US, 20.0, "isotonic") == (
        found.split.by,
        found.split.embargo_us,
        found.weight_clip,
        found.calibration,
    )
    assert (8, 2, 256, 3) == (found.hidden, found.rank, found.descent.batch, found.descent.seed)
    assert 0.5 == found.descent.modesty
    assert {"offer.price": "down"} == found.monotone
    assert "added" == parse_settings("name: shop\nheads: [baseline]\nlift: added\n").lift


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("name: Shop!\n", "s.yaml:1: name", "lower-case letters"),
        ("goal: x\n", "s.yaml:1: name", "is missing"),
        ("name: a\nseeds: 1\n", "s.yaml:2: seeds", "did you mean 'seed'?"),
        ("name: a\nheads: [values]\n", "s.yaml:2: heads[0]", "did you mean 'value'?"),
        ("name: a\nwindow: soon\n", "s.yaml:2: window", "a duration like"),
        ("name: a\nsplit: {test: 0.9}\n", "s.yaml:2: split.test", "from 0.01 to 0.5"),
        ("name: a\nmodel: {batch: 100}\n", "s.yaml:2: model.batch", "a power of two"),
        ("name: a\nmonotone: {offer.price: lower}\n", "s.yaml:2: monotone.offer.price", "'up', 'down'"),
        ("name: a\nmonotone: {profile.age: up}\n", "s.yaml:2: monotone.profile.age", "no attribute of an offer"),
        ("name: a\nmodel: {modesty: -1}\n", "s.yaml:2: model.modesty", "from 0.0 to 100.0"),
        ("name: a\nlift: more\n", "s.yaml:2: lift", "'any', 'added'"),
        ("name: a\nweights: {clip: 0.5}\n", "s.yaml:2: weights.clip", "at least 1"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_key(text: str, where: str, message: str) -> None:
    """What was wrong, where, and what would be right."""
    with pytest.raises(WorkspaceError) as caught:
        parse_settings(text, "s.yaml")

    assert any(where in v.field and message in v.message for v in caught.value.violations), str(caught.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    """And how to name another."""
    with pytest.raises(NotFoundError, match="--settings"):
        load_settings(tmp_path / "none.yaml")


def test_monotone_columns_must_exist() -> None:
    """The nearest column is suggested."""
    settings = parse_settings("name: a\nmonotone: {offer.prise: down}\n")

    assert "did you mean 'offer.price'?" in check_monotone(settings, ("price", "department"))
    assert not check_monotone(settings, ("prise",))


def test_negative_reactions_are_named_or_those_that_everybody_has() -> None:
    """Given, they stand in for the default; an empty list says that none are known."""
    assert ("unsubscribe", "reject", "dismiss") == parse_settings("name: shop\n").reactions
    assert ("complaint",) == parse_settings("name: shop\nreactions: [complaint]\n").reactions
    assert () == parse_settings("name: shop\nreactions: []\n").reactions
