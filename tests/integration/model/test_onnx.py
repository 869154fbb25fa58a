"""A bundle in force scores on the catalog's axes, the same to the bit in any company, and says so when it cannot."""

from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from takt.catalog.snapshot import Catalog, Offer, Timing
from takt.errors import ModelError
from takt.model.check import Demands
from takt.model.golden import Array
from takt.model.onnx import OnnxScorer, load_for, load_scorer
from takt.model.probe import probe
from takt.model.session import Session
from takt.model.trial import Axes
from takt.ports import Scorer, Scores
from tests.integration.model.graphs import (
    SPEC,
    TONALITIES,
    Recipe,
    changed,
    demands_of,
    graph,
    manifest_of,
    metadata_of,
    node,
    sigmoid,
    stand_in,
    write,
)

ROWS, OFFERS = 6, 5


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good bundle on disk."""
    return write(tmp_path_factory.mktemp("models") / "tiny", Recipe())


@pytest.fixture(scope="module")
def scorer(bundle: Path) -> OnnxScorer:
    """The good bundle in force."""
    return load_for(bundle, demands_of(Recipe()))


@pytest.fixture(scope="module")
def inputs() -> dict[str, Array]:
    """Six rows and five offers, missing and absurd values among them."""
    return probe(metadata_of(Recipe()).features, rows=ROWS, offers=OFFERS, codes=3)


def score(
    scorer: Scorer, inputs: Mapping[str, Array], rows: slice = slice(None), offers: slice = slice(None)
) -> Scores:
    """Score some rows against some offers."""
    return scorer.score(
        inputs["profile"][rows], inputs["context"][rows], inputs["offers"][offers], inputs["offer_code"][offers]
    )


def test_scores_are_those_of_the_graph(bundle: Path, scorer: OnnxScorer, inputs: dict[str, Array]) -> None:
    """Nothing is added to what the graph says, and what it does not say is None."""
    (expected,) = Session((bundle / "model.onnx").read_bytes()).run(["acceptance"], inputs)

    scores = score(scorer, inputs)

    np.testing.assert_array_equal(expected, scores.acceptance)
    assert (ROWS, 3, 2, OFFERS) == scores.acceptance.shape
    assert (None, None, None, None) == (scores.baseline, scores.value, scores.reaction, scores.uncertainty)


def test_version_names_the_bundle(scorer: OnnxScorer) -> None:
    """A scorer is known by name and version."""
    assert "tiny/1.0.0" == scorer.version


def test_offer_codes_are_those_of_training(scorer: OnnxScorer) -> None:
    """Known offers have 1 + their index, unknown ones 0."""
    codes = scorer.offer_codes(("soap", "tea", "milk"))

    assert [3, 0, 1] == codes.tolist()
    assert np.int64 == codes.dtype


@given(data=st.data())
def test_axes_are_the_catalogs(bundle: Path, scorer: OnnxScorer, inputs: dict[str, Array], data: st.DataObject) -> None:
    """Whatever timings and tonalities the catalog has, in whatever order, each gets its own estimate."""
    recipe = Recipe()
    timings = data.draw(st.lists(st.sampled_from(recipe.timings), min_size=1, unique=True))
    tonalities = data.draw(st.lists(st.sampled_from(recipe.tonalities), min_size=1, unique=True))
    full = score(scorer, inputs).acceptance

    other = rebound(bundle, replace(demands_of(recipe), timings=tuple(timings), tonalities=tuple(tonalities)))
    found = score(other, inputs).acceptance

    assert (ROWS, len(timings), len(tonalities), OFFERS) == found.shape
    for t, timing in enumerate(timings):
        for n, tonality in enumerate(tonalities):
            expected = full[:, recipe.timings.index(timing), recipe.tonalities.index(tonality)]
            np.testing.assert_array_equal(expected, found[:, t, n])


def rebound(bundle: Path, demands: Demands) -> OnnxScorer:
    """The good bundle for another catalog, without checking it once more."""
    return OnnxScorer(
        Session((bundle / "model.onnx").read_bytes()),
        manifest=manifest_of(Recipe()),
        axes={"acceptance": Axes(timings=True, tonalities=True, offers=True)},
        demands=demands,
    )


def test_axes_that_are_not_told_apart_stay_one(tmp_path: Path, inputs: dict[str, Array]) -> None:
    """A broadcasting model costs nothing for the catalog's timings and tonalities."""
    recipe = changed(
        axes=(1, 1),
        outputs={
            "acceptance": sigmoid,
            "baseline": lambda: [
                node("Sigmoid", ["z"], "s"),
                node("ReduceMean", ["s"], "all", axes=[3], keepdims=1),
                node("Mul", ["all", "zero"], "baseline"),
            ],
            "value": lambda: [node("Identity", ["z"], "value")],
        },
    )
    scorer = load_for(write(tmp_path / "bundle", recipe), demands_of(recipe))

    scores = score(scorer, inputs)

    assert scores.baseline is not None
    assert (ROWS, 1, 1, OFFERS) == scores.acceptance.shape
    assert (ROWS, 1, 1, 1) == scores.baseline.shape
    assert scores.value is not None
    assert scores.value.min() < 0 < scores.value.max()


@pytest.mark.parametrize("axes", [(3, 2), (1, 1)])
def test_estimates_do_not_depend_on_company(tmp_path: Path, inputs: dict[str, Array], axes: tuple[int, int]) -> None:
    """One row alone and one offer alone have the estimate to the bit that they have in a batch."""
    recipe = changed(axes=axes)
    scorer = load_for(write(tmp_path / "bundle", recipe), demands_of(recipe))
    full = score(scorer, inputs).acceptance

    for rows in (1, 2, 5):
        for offers in (1, 2, 4):
            part = score(scorer, inputs, slice(rows), slice(offers)).acceptance
            np.testing.assert_array_equal(full[:rows, :, :, :offers], part)
            assert part.flags.c_contiguous


def test_score_may_be_called_from_several_threads(scorer: OnnxScorer, inputs: dict[str, Array]) -> None:
    """Runs at the same time do not disturb each other."""
    expected = score(scorer, inputs).acceptance
    found: list[npt.NDArray[np.float32]] = []

    def work() -> None:
        found.extend(score(scorer, inputs).acceptance for _ in range(20))

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 80 == len(found)
    assert all(np.array_equal(expected, array) for array in found)


def test_negative_zero_is_a_probability(inputs: dict[str, Array]) -> None:
    """What compares equal to zero is in range, whatever its bits."""
    recipe = changed(
        outputs={"acceptance": lambda: [node("Sigmoid", ["z"], "s"), node("Mul", ["s", "nought"], "acceptance")]},
        constants={"nought": np.array(-0.0, dtype=np.float32)},
    )

    assert 0.0 == score(running(recipe), inputs).acceptance.max()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, -1e-30, np.nextafter(np.float32(1), np.float32(2))])
@pytest.mark.parametrize("at", [0, 100, 179])
def test_one_bad_value_among_many_is_found(inputs: dict[str, Array], poison: float, at: int) -> None:
    """A single value that is no probability makes the run unusable, wherever it stands."""
    values = np.full((ROWS, 3, 2, OFFERS), 0.5, dtype=np.float32)
    values.reshape(-1)[at] = poison
    recipe = changed(
        outputs={
            "acceptance": lambda: [node("Mul", ["z", "zero"], "nil"), node("Add", ["nil", "values"], "acceptance")]
        },
        constants={"values": values},
    )

    with pytest.raises(ModelError, match="output 'acceptance' "):
        score(running(recipe), inputs)


def running(recipe: Recipe) -> OnnxScorer:
    """A graph in force that no check would have let through."""
    return OnnxScorer(
        Session(graph(recipe)),
        manifest=manifest_of(recipe),
        axes={name: Axes(timings=True, tonalities=True, offers=True) for name in recipe.outputs},
        demands=demands_of(recipe),
    )


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (changed(impute=False), "tiny/1.0.0: output 'acceptance' is NaN in "),
        (
            changed(outputs={"acceptance": lambda: [node("Sub", ["zero", "z"], "acceptance")]}),
            "tiny/1.0.0: output 'acceptance' lies outside of 0 to 1 in ",
        ),
        (
            changed(
                outputs={
                    "acceptance": sigmoid,
                    "value": lambda: [node("Sub", ["z", "z"], "nil"), node("Reciprocal", ["nil"], "value")],
                }
            ),
            "tiny/1.0.0: output 'value' is infinite in ",
        ),
        (changed(axes=(1, 1)), "tiny/1.0.0: output 'acceptance' has shape [6, 1, 1, 5], expected [6, 3, 2, 5]"),
        (changed(codes=1), "ONNX Runtime cannot run the graph: "),
    ],
    ids=["NaN", "range", "infinity", "shape", "failing"],
)
def test_unusable_output_is_an_error(recipe: Recipe, expected: str, inputs: dict[str, Array]) -> None:
    """An output that nobody should act on raises with what is wrong with it."""
    with pytest.raises(ModelError) as caught:
        score(running(recipe), inputs)

    assert str(caught.value).startswith(expected)


def test_load_refuses_with_every_reason(tmp_path: Path) -> None:
    """A bundle that breaks the contract never comes into force, and the error lists why."""
    recipe = changed(impute=False)
    path = write(tmp_path / "bundle", recipe, golden=stand_in(recipe))

    with pytest.raises(ModelError) as caught:
        load_for(path, replace(demands_of(recipe), tonalities=("stern",)))

    message = str(caught.value)
    assert message.startswith("bundle tiny/1.0.0 is refused:\n")
    assert "output 'acceptance' is NaN" in message


def catalog(timings: tuple[str, ...]) -> Catalog:
    """A catalog with what a model looks at; reading anything else fails."""
    looked_at = SimpleNamespace(
        spec=SPEC,
        timings=tuple(Timing(id=name, day_offset=0, from_minute=-1, to_minute=-1) for name in timings),
        tonalities=TONALITIES,
        offers=tuple(Offer(id=name, code=0, group=-1, tags=frozenset(), title="") for name in ("tea", "milk")),
    )
    return cast("Catalog", looked_at)


def test_a_catalog_says_what_it_demands(bundle: Path, inputs: dict[str, Array]) -> None:
    """Features, timings, tonalities and offers are taken from the catalog in force."""
    scorer = load_scorer(bundle, catalog(("weekend",)))

    assert (ROWS, 1, len(TONALITIES), OFFERS) == score(scorer, inputs).acceptance.shape
    with pytest.raises(ModelError, match="catalog also declares someday"):
        load_scorer(bundle, catalog(("someday",)))


def test_a_catalog_of_unknown_timings_is_refused_at_load(bundle: Path) -> None:
    """What the check refuses is not loaded."""
    with pytest.raises(ModelError, match="model knows timings now, tonight, weekend; catalog also declares never"):
        load_for(bundle, replace(demands_of(Recipe()), timings=("never",)))
