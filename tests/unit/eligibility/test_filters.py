"""What the rules of a catalog say of a batch: reasons, stages, values, weights."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from takt.catalog.rules import RuleCompiler
from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.domain.reasons import Reason
from takt.domain.request import Scalar
from takt.eligibility.evaluation import Evaluation, evaluate
from takt.eligibility.filters import filter_offers, filter_rows, rows_of, stages
from takt.eligibility.shelf import shelf
from takt.features.columns import Columns
from takt.features.record import pack_section
from takt.features.section import FeatureType, Section

CATALOG: Catalog = load_workspace(Path(__file__).parents[2] / "workspaces" / "minimal")
DAY_US = 86_400_000_000
NOW_US = 1_780_000_000_000_000  # 2026-05-28
OFFERS = [offer.id for offer in CATALOG.offers]
RULES = [rule.id for rule in CATALOG.rules]

Row = Mapping[str, Scalar]


def _profiles(*rows: Row) -> Columns:
    return Columns(CATALOG.spec.profile, pack_section(CATALOG.spec.profile, rows))


def _contexts(*rows: Row) -> Columns:
    return Columns(CATALOG.spec.context, pack_section(CATALOG.spec.context, rows))


def _stages(profiles: Columns, contexts: Columns, now_us: int = NOW_US) -> npt.NDArray[np.int64]:
    """The stage of each row."""
    prepared = shelf(CATALOG, CATALOG.spec.profile, CATALOG.spec.context)
    return stages(CATALOG, prepared, rows_of(profiles, contexts, now_us))


def _stages_of(catalog: Catalog, profiles: Columns, contexts: Columns, now_us: int) -> npt.NDArray[np.int64]:
    """`_stages` with the arguments of `filter_offers`."""
    assert catalog is CATALOG
    return _stages(profiles, contexts, now_us)


def _reasons(profile: Row, context: Row, now_us: int = NOW_US) -> dict[str, str]:
    """Reason of every offer that is left out for one row, with the rule that did it."""
    found = filter_offers(CATALOG, _profiles(profile), _contexts(context), now_us)
    return {
        offer: Reason(reason).name + (f" {RULES[rule]}" if rule >= 0 else "")
        for offer, reason, rule in zip(OFFERS, found.excluded[0], found.rule[0], strict=True)
        if reason
    }


LEASE = 'has(profile.lease_end) && profile.lease_end - now < duration("2160h")'
GARDEN = '"garden" in profile.interests'
BASKET = 'context.page == "basket" || context.channel == "email"'


def test_reasons() -> None:
    """Every offer that is left out carries the first rule that did not hold."""
    premium: Row = {"segment": "premium", "visits_30d": 3, "interests": ("garden",), "lease_end": NOW_US + DAY_US}

    assert {} == _reasons(premium, {"page": "basket", "logged_in": True, "channel": "web"})
    assert {
        "lawn-mower": "NOT_ELIGIBLE dear-for-premium",
        "knife-set": "NOT_ELIGIBLE profile.visits_30d > 2",
        "tea-towel": "NOT_ELIGIBLE clearance-needs-login",
        "lease-renewal": f"NOT_ELIGIBLE {LEASE}",
    } == _reasons({"segment": "budget", "interests": ("garden",)}, {"page": "home", "channel": "web"})


def test_missing_values_are_errors() -> None:
    """A rule that meets a missing value is an error, unless `&&` or `||` decide without it."""
    assert {
        "lawn-mower": f"NOT_ELIGIBLE {GARDEN}",
        "knife-set": f"RULE_ERROR {BASKET}",
        "lease-renewal": f"NOT_ELIGIBLE {LEASE}",
    } == _reasons({"visits_30d": 3}, {"channel": "web", "logged_in": True})
    assert {
        "lawn-mower": "RULE_ERROR dear-for-premium",
        "knife-set": f"RULE_ERROR {BASKET}",
        "lease-renewal": f"NOT_ELIGIBLE {LEASE}",
    } == _reasons({"visits_30d": 3, "interests": ("garden",)}, {"logged_in": True})


def test_validity_comes_first() -> None:
    """An offer outside its validity is left out for that, whatever its rules say; the interval is half-open."""
    column = OFFERS.index("watering-can")
    start, end = int(CATALOG.valid_from_us[column]), int(CATALOG.valid_until_us[column])
    moments = np.array([start - 1, start, end - 1, end], np.int64)
    nobody: list[Row] = [{}] * len(moments)

    found = filter_offers(CATALOG, _profiles(*nobody), _contexts(*nobody), moments)

    expected = [Reason.NOT_VALID_YET, Reason.NONE, Reason.NONE, Reason.EXPIRED]
    assert expected == found.excluded[:, column].tolist()
    assert [-1] * len(moments) == found.rule[:, column].tolist()


def test_time_is_per_row() -> None:
    """Rows of one batch may be at different moments."""
    profiles = _profiles({"lease_end": NOW_US}, {"lease_end": NOW_US})
    contexts = _contexts({"channel": "web"}, {"channel": "web"})

    found = filter_offers(CATALOG, profiles, contexts, np.array([NOW_US - 91 * DAY_US, NOW_US - 89 * DAY_US]))

    assert [Reason.NOT_ELIGIBLE, Reason.NONE] == found.excluded[:, OFFERS.index("lease-renewal")].tolist()


def test_stages() -> None:
    """The first stage whose rule holds; an error does not hold, and the last takes all that are left."""
    profiles = _profiles({"recency_days": 1.0}, {"recency_days": 3.0}, {})

    assert [0, 1, 1] == _stages(profiles, _contexts({}, {}, {})).tolist()


def test_values() -> None:
    """Constants, expressions, and NaN where an expression is an error."""
    found = filter_offers(CATALOG, _profiles({}), _contexts({}), NOW_US).value[0]

    assert [40.0, 3.5, 20.0, 1.0, 9.0, 120.0] == found.tolist()


def test_context_weights() -> None:
    """Weights multiply where their rule holds; one that is an error does not apply."""
    rows: list[Row] = [{"subscriber": True, "interests": ("kitchen",)}, {"subscriber": True}]

    found = filter_offers(CATALOG, _profiles(*rows), _contexts({"page": "basket"}, {}), NOW_US).weight

    assert [[1.0, 1.0, pytest.approx(1.32), pytest.approx(1.32), 1.0, 1.0], [1.0] * 6] == found.tolist()


# Against the obvious loop ------------------------------------------------------------------------------------------


def _any_value(section: Section) -> st.SearchStrategy[dict[str, Any]]:
    """Rows of a section, any value may be missing."""
    kinds: dict[FeatureType, st.SearchStrategy[Any]] = {
        FeatureType.FLOAT: st.sampled_from([0.0, 1.5, 4.0]),
        FeatureType.INT: st.integers(0, 5),
        FeatureType.BOOL: st.booleans(),
        FeatureType.TIMESTAMP: st.integers(NOW_US - 200 * DAY_US, NOW_US + 200 * DAY_US),
    }
    optional = {
        f.name: kinds[f.type] if f.type in kinds else st.sampled_from(f.values)
        for f in section.features
        if f.type is not FeatureType.FLAGS
    }
    flags = {
        f.name: st.lists(st.sampled_from(f.values), unique=True).map(tuple)
        for f in section.features
        if f.type is FeatureType.FLAGS
    }
    return st.fixed_dictionaries(flags, optional=optional)


@settings(max_examples=60)
@given(st.lists(st.tuples(_any_value(CATALOG.spec.profile), _any_value(CATALOG.spec.context)), min_size=1, max_size=4))
def test_batches_agree_with_single_cells(people: Sequence[tuple[Row, Row]]) -> None:
    """A batch gives each cell what its rules, asked one by one for one offer, add up to."""
    profiles, contexts = _profiles(*(p for p, _ in people)), _contexts(*(c for _, c in people))
    found = filter_offers(CATALOG, profiles, contexts, NOW_US)
    for row, (profile, context) in enumerate(people):
        for column in range(len(OFFERS)):
            offer = Columns(CATALOG.spec.offer, CATALOG.offer_table[[column]])
            asked = [k for k in range(len(RULES)) if CATALOG.rule_offers[k, column]]
            answers = [
                evaluate(CATALOG.rules[k].program, _profiles(profile), _contexts(context), offer, NOW_US) for k in asked
            ]
            no = [k for k, (holds, errors) in zip(asked, answers, strict=True) if not holds.any() and not errors.any()]
            unsure = [k for k, (_, errors) in zip(asked, answers, strict=True) if errors.any()]
            expected = (
                (Reason.NOT_ELIGIBLE, no[0]) if no else (Reason.RULE_ERROR, unsure[0]) if unsure else (Reason.NONE, -1)
            )
            assert expected == (found.excluded[row, column], found.rule[row, column])
            assert [_worth(column, profile, context, offer)] == [
                pytest.approx(found.value[row, column], rel=0, abs=0, nan_ok=True)
            ]
            assert _weight(column, profile, context, offer) == found.weight[row, column]
    assert [_stage(p, c) for p, c in people] == _stages(profiles, contexts).tolist()


def _worth(column: int, profile: Row, context: Row, offer: Columns) -> float:
    """What one offer is worth to one person."""
    rule = CATALOG.value_rule[column]
    if rule is None:
        return float(CATALOG.value[column])
    value, errors = evaluate(rule.program, _profiles(profile), _contexts(context), offer, NOW_US)
    return math.nan if errors.any() or not np.isfinite(value).all() else float(value.item())


def _weight(column: int, profile: Row, context: Row, offer: Columns) -> float:
    """The product of the weights that one offer gets for one person."""
    weight = 1.0
    for one in CATALOG.weights:
        if one.offers[column]:
            holds = one.rule is None or bool(
                evaluate(one.rule.program, _profiles(profile), _contexts(context), offer, NOW_US)[0].all()
            )
            weight *= one.times if holds else 1.0
    return weight


def _stage(profile: Row, context: Row) -> int:
    """The first stage whose rule holds for one person."""
    for j, stage in enumerate(CATALOG.stages):
        if stage.rule is None:
            return j
        if evaluate(stage.rule.program, _profiles(profile), _contexts(context), None, NOW_US)[0].all():
            return j
    raise AssertionError("the last stage has no rule")


def _c_calls(work: Callable[[], object]) -> int:
    """How often anything written in C is called, numpy's methods included."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "c_call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("function", [filter_offers, _stages_of])
def test_work_does_not_depend_on_rows(function: Callable[[Catalog, Columns, Columns, int], object]) -> None:
    """A batch of a thousand rows makes as many array operations as a batch of two."""
    few: list[Row] = [{"segment": "budget"}, {"recency_days": 2.0}]
    function(CATALOG, _profiles(*few), _contexts({}, {}), NOW_US)  # what is prepared once per catalog

    def work(times: int) -> int:
        profiles, contexts = _profiles(*(few * times)), _contexts(*([{}, {}] * times))
        return _c_calls(lambda: function(CATALOG, profiles, contexts, NOW_US))

    assert work(1) == work(500)


def test_who_has_not_consented_gets_nothing_that_rules_allow() -> None:
    """Consent is asked after validity and rules, and leaves their reasons alone."""
    profiles, contexts = _profiles({"visits_30d": 3}), _contexts({"channel": "web", "logged_in": True})
    allowed = filter_offers(CATALOG, profiles, contexts, NOW_US)
    rows = rows_of(profiles, contexts, NOW_US)._replace(unconsented=np.array([True]))

    found = filter_rows(shelf(CATALOG, CATALOG.spec.profile, CATALOG.spec.context), rows)

    expected = np.where(allowed.excluded == Reason.NONE, Reason.NO_CONSENT, allowed.excluded)
    assert expected.tolist() == found.excluded.tolist()
    assert allowed.rule.tolist() == found.rule.tolist()


def test_features_are_found_in_the_section_that_the_rows_are_of() -> None:
    """Rows of a log that was written under an older spec have their columns elsewhere."""
    older = Section("profile", CATALOG.spec.profile.features[::-1], header=True)
    row: Row = {"segment": "premium", "visits_30d": 3, "interests": ("garden",), "lease_end": NOW_US + DAY_US}
    context = _contexts({"page": "basket", "logged_in": True, "channel": "web"})

    found = filter_offers(CATALOG, Columns(older, pack_section(older, [row])), context, NOW_US)

    assert filter_offers(CATALOG, _profiles(row), context, NOW_US).excluded.tolist() == found.excluded.tolist()


def test_equal_expressions_are_evaluated_once() -> None:
    """A part that two rules share is evaluated once per batch."""
    compiler = RuleCompiler(CATALOG.spec)
    first = compiler.compile("profile.visits_30d > 2 && profile.subscriber")
    second = compiler.compile("!(profile.visits_30d > 2)")
    batch = Evaluation(profile=_profiles({}))

    batch.result(first.root)
    before = set(batch.made())
    batch.result(second.root)

    assert {id(second.root)} == set(batch.made()) - before
