"""Your own table: what its mapping gets wrong is named, and what it gets right becomes a bundle that can be served."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from takt.catalog.workspace import load_workspace
from takt.cli.main import main
from takt.errors import ModelError, NotFoundError, WorkspaceError
from takt_training.joint.run import from_table
from takt_training.joint.settings import Settings
from takt_training.joint.training import train
from takt_training.table.mapping import read_mapping
from takt_training.table.reading import TableRead, read_table

EXAMPLE = Path(__file__).parents[3] / "examples" / "table"
MAPPING = (EXAMPLE / "mapping.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """The example's first rows, as text."""
    return pd.read_csv(EXAMPLE / "contacts.csv", dtype="str", keep_default_na=False).head(1500)


def _read(frame: pd.DataFrame, mapping: str, directory: Path) -> TableRead:
    path = directory / "contacts.csv"
    frame.to_csv(path, index=False)
    return read_table(path, read_mapping(mapping, "mapping.yaml"))


def _violations(frame: pd.DataFrame, mapping: str, directory: Path) -> str:
    with pytest.raises(WorkspaceError) as caught:
        _read(frame, mapping, directory)
    return str(caught.value)


def test_the_example_says_what_its_columns_say(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Rows, offers with attributes, silence, arms, values and late outcomes arrive as they are in the file."""
    read = _read(frame, MAPPING, tmp_path)
    contacts = read.contacts

    assert len(frame) == len(contacts)
    assert (("now", "tonight", "weekend"), ("factual", "warm")) == (read.arms.timings, read.arms.tonalities)
    assert (frame.offer == "").to_numpy().tolist() == contacts.silent.tolist()
    assert contacts.happened.sum() + read.late == (frame.bought == "1").sum()
    first = int((~contacts.silent).nonzero()[0][0])
    assert frame.offer[first] == contacts.offer_ids[contacts.offer[first]]
    assert float(frame.price[first]) == pytest.approx(contacts.offers[contacts.offer[first], 0])


def test_a_table_becomes_a_workspace_and_a_bundle_that_fits_it(tmp_path: Path) -> None:
    """One command; `takt model check` accepts it for the new workspace, the report is there, a rerun is the same."""
    settings = tmp_path / "training.yaml"
    settings.write_text("name: garden-shop\nheads: [value, reaction]\nmodel: {epochs: 4}\n", encoding="utf-8")
    out, workspace = tmp_path / "bundle", tmp_path / "workspace"
    arguments = ["train", "--table", str(EXAMPLE / "contacts.csv"), "--mapping", str(EXAMPLE / "mapping.yaml")]
    arguments += ["--settings", str(settings), "--out", str(out), "--workspace", str(workspace), "--json"]

    first = CliRunner().invoke(main, arguments)
    checked = CliRunner().invoke(main, ["model", "check", str(out), "--workspace", str(workspace)])
    again = CliRunner().invoke(main, arguments)

    assert "auc_minus_logistic_high" in first.output
    assert "Traceback" not in first.output
    assert 0 == checked.exit_code, checked.output
    assert first.exit_code == again.exit_code
    assert "Who accepts" in (out / "report.html").read_text(encoding="utf-8")
    assert 6 == len(load_workspace(workspace).offers)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("person: customer", "person: custmer", "mapping.yaml:5: person: column 'custmer': is not in contacts.csv"),
        ("person: customer", "person: custmer", "did you mean 'customer'?"),
        ("{column: segment, type: category}", "{column: segment, type: int}", "'family' is not a whole number"),
        ("{column: segment, type: category}", "{column: segment, type: categry}", "did you mean 'category'?"),
        ("time: sent_at", "time: segment", "is not a moment like"),
        ("propensity: probability", "propensity: price", "a probability above 0 and at most 1"),
        ("goal: purchase", "gaol: purchase", "unknown key 'gaol'; did you mean 'goal'?"),
        ("{column: garden_share, type: float", "{column: revenue, type: float", "cannot be a feature"),
        ("known_at: member_since", "known_at: bought_at", "was known only after the contact"),
        ("timing: slot", "timings: slot", "did you mean 'timing'?"),
    ],
)
def test_a_wrong_mapping_is_named_by_line(frame: pd.DataFrame, tmp_path: Path, old: str, new: str, wanted: str) -> None:
    """A column that is not there, a type that is wrong, an attribute of the future: file, line, key, row."""
    assert old in MAPPING
    found = _violations(frame, MAPPING.replace(old, new), tmp_path)

    assert wanted in found
    assert "mapping.yaml:" in found


def test_a_table_that_holds_its_rows_twice_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    """The number of copies and the first of them are told."""
    found = _violations(pd.concat([frame, frame.head(30)]), MAPPING, tmp_path)

    assert "30 rows say exactly what an earlier row says, first row 1502" in found


def test_a_shuffled_time_column_is_seen_by_its_outcomes(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Outcomes before their contact cannot be."""
    shuffled = frame.assign(sent_at=frame.sent_at.sample(frac=1, random_state=1).to_numpy())

    assert "outcomes lie before their contact" in _violations(shuffled, MAPPING, tmp_path)


def test_a_leaky_column_is_refused_by_name(tmp_path: Path) -> None:
    """Revenue under another name, filled in only when something was bought."""
    frame = pd.read_csv(EXAMPLE / "contacts.csv", dtype="str", keep_default_na=False)
    leaky = frame.assign(basket=frame.revenue)
    mapping = MAPPING.replace("  - {column: segment, type: category}", "  - {column: basket, type: float}")
    read = _read(leaky, mapping, tmp_path)

    with pytest.raises(ModelError, match=r"profile\.basket: whether it is filled in alone predicts"):
        train(read.contacts, read.spec, read.arms, Settings("x", window_us=14 * 86_400_000_000))


def test_ids_are_spelled_for_the_catalog(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Blanks become hyphens; two names that would become one are refused."""
    renamed = frame.assign(offer=frame.offer.replace({"tea-towel": "Tea towel"}))
    clash = frame.assign(offer=frame.offer.replace({"kettle": "tea towel"}))

    assert "Tea-towel" in _read(renamed, MAPPING, tmp_path).contacts.offer_ids
    assert "would both be called 'tea-towel'" in _violations(clash, MAPPING, tmp_path)


def test_a_workspace_of_other_features_is_left_alone(tmp_path: Path) -> None:
    """What people wrote is not overwritten, and not served with a model that does not know it."""
    (tmp_path / "features.yaml").write_text("profile:\n  - {name: age, type: int}\n", encoding="utf-8")

    with pytest.raises((WorkspaceError, NotFoundError)):
        from_table(
            EXAMPLE / "contacts.csv",
            EXAMPLE / "mapping.yaml",
            settings_file=None,
            workspace=tmp_path,
            out=tmp_path / "out",
            overwrite=False,
            as_json=True,
        )
    assert not (tmp_path / "out").exists()
