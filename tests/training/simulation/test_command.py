"""`takt simulate` on the command line: what is refused, and how; what a report says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from takt_training.report.charts import lines
from takt_training.report.document import Lines, Series
from takt_training.simulation.command import simulate


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rounds", "1"], "1 is not in the range 2<=x<=200"),
        (["--decisions", "10"], "10 is not in the range"),
        (["--seeds", "0"], "0 is not in the range"),
        (["--quick", "--rounds", "3"], "--quick says how much is simulated"),
        (["--quick", "--learners", "greedy"], "--quick says how much is simulated"),
    ],
)
def test_wrong_options_are_refused(given: list[str], said: str) -> None:
    """With the option and what would be right."""
    told = CliRunner().invoke(simulate, given)

    assert 2 == told.exit_code
    assert said in told.output


def test_a_short_simulation_writes_a_page_and_figures(tmp_path: Path) -> None:
    """Two learners, two rounds: regret is plotted, figures are told without bars."""
    told = CliRunner().invoke(
        simulate,
        ["--rounds", "2", "--decisions", "1000", "--learners", "uniform,squarecb", "--out", str(tmp_path), "--json"],
    )

    assert 0 == told.exit_code, told.output
    figures = json.loads(told.stdout.splitlines()[-1])
    assert {"gap_closed_uniform", "gap_closed_squarecb", "over_constant_low", "organic_silent_squarecb"} == set(figures)
    assert {"shown"} == {figure["bar"] for figure in figures.values()}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert 2 == page.count("<polyline")
    assert "regret, EUR per decision" in page
    assert 2 == len(data["seeds"][0]["learners"]["squarecb"]["rounds"])


def test_names_of_lines_do_not_meet() -> None:
    """Lines that end at one value have their names below each other."""
    chart = lines(Lines((Series("a", (1.0, 2.0)), Series("b & c", (3.0, 2.0), dashed=True)), "round", "value"))

    places = [float(part.split('"')[0]) for part in chart.split(' y="')[1:] if "fill:#" in part]
    assert 2 == len(places)
    assert abs(places[0] - places[1]) > 13.5
    assert "b &amp; c" in chart
    assert "stroke-dasharray" in chart
