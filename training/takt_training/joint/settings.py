"""How to train, in one YAML file; every error names file, line and key, like those of a workspace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, cast

from msgspec import Struct, field

from takt.catalog.times import duration_at
from takt.clock import DAY_US
from takt.errors import NotFoundError
from takt.spelling import did_you_mean, shown
from takt.yamlmarks import Node, load
from takt_training.joint.fitting import Descent
from takt_training.joint.monotone import Direction
from takt_training.logged.goal import ATTRIBUTIONS

Lift = Literal["any", "added"]
Calibration = Literal["platt", "isotonic", "none"]
SplitBy = Literal["time", "person", "both"]
HEADS: Final = ("baseline", "value", "reaction", "uncertainty")
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class Split(Struct, frozen=True):
    """Which rows are learned from and which are judged by."""

    by: SplitBy = "time"
    """`time`: the last rows; `person`: some people's; `both`: the last rows of people of whom nothing is learned."""
    test: float = 0.2
    """Share of the rows (by time), or of the people."""
    stop: float = 0.1
    """Share that says when to stop; by time it comes before the calibrating part, which comes before the test."""
    calibrate: float = 0.1
    embargo_us: int | None = None
    """How long before the test nothing is learned from; None: the outcome window, so that all outcomes were known."""


class Settings(Struct, frozen=True):
    """Everything that a training run can be told."""

    name: str
    version: str = "1.0.0"
    goal: str = "accept"
    window_us: int = 14 * DAY_US
    attribution: str = "decision"
    """Which events of a log count: `takt_training.logged.goal.ATTRIBUTIONS`."""
    reactions: tuple[str, ...] = ("unsubscribe", "reject", "dismiss")
    """Which events of a log are negative reactions: what the head `reaction` learns."""
    unit: str = ""
    license: str = ""
    seed: int = 0
    split: Split = field(default_factory=Split)
    heads: tuple[str, ...] = ()
    lift: Lift = "any"
    """What a contact does to what happens anyway: `any`, so that acceptance and baseline are learned apart; or it has
    `added` to it, and both are learned together."""
    calibration: Calibration = "platt"
    weight_clip: float = 0.0
    """Rows count 1 / propensity, at most this much; 0: all alike."""
    monotone: Mapping[str, Direction] = field(default_factory=dict)
    """By offer column: acceptance only falls (`down`) or only rises (`up`) with it."""
    hidden: int = 24
    rank: int = 6
    descent: Descent = field(default_factory=Descent)
    trusted: tuple[str, ...] = ()
    """Columns that may predict the outcome too well to be true."""


def load_settings(path: Path) -> Settings:
    """Read and check `training.yaml`. Raises WorkspaceError with every violation, NotFoundError without the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there; name the settings with --settings") from None
    return parse_settings(text, str(path))


def parse_settings(text: str, filename: str = "training.yaml") -> Settings:
    """The settings in a text. Raises WorkspaceError with every violation."""
    root = load(text, filename)
    settings = read_settings(root)
    root.problems.raise_any()
    return settings


def read_settings(root: Node) -> Settings:
    """The settings in a mapping; what is wrong is reported, and the default stands in."""
    default = Settings("x")
    root.only(
        *("name", "version", "goal", "window", "unit", "license", "seed", "split", "heads", "calibration"),
        *("weights", "monotone", "model", "trusted", "attribution", "reactions", "lift"),
    )
    name = root.required_text("name") or "x"
    if not _NAME.fullmatch(name):
        root.fail_at("name", f"is {shown(name)}; lower-case letters, digits and hyphens are needed")
    version = root.text("version", default.version)
    if not _VERSION.fullmatch(version):
        root.fail_at("version", f"is {shown(version)}; a semantic version like 1.0.0 is needed")
    weights = root.get("weights")
    clip = 0.0
    if weights is not None and weights.only("clip"):
        clip = weights.number("clip", 0.0, low=1.0)
    seed = root.integer("seed", 0, low=0, high=2**31 - 1)
    hidden, rank, descent = _model(root.get("model"), seed)
    return Settings(
        name=name,
        version=version,
        goal=root.text("goal", default.goal),
        window_us=duration_at(root, "window", default.window_us),
        attribution=root.choice("attribution", "decision", known=ATTRIBUTIONS, what="attribution"),
        reactions=root.names("reactions") if root.get("reactions") is not None else default.reactions,
        unit=root.text("unit", default.unit),
        license=root.text("license", default.license),
        seed=seed,
        split=_split(root.get("split")),
        heads=_heads(root),
        lift=cast("Lift", root.choice("lift", "any", known=("any", "added"), what="lift")),
        calibration=cast(
            "Calibration", root.choice("calibration", "platt", known=("platt", "isotonic", "none"), what="calibration")
        ),
        weight_clip=clip,
        monotone=_monotone(root.get("monotone")),
        hidden=hidden,
        rank=rank,
        descent=descent,
        trusted=root.names("trusted"),
    )


def _split(node: Node | None) -> Split:
    default = Split()
    if node is None or not node.only("by", "test", "stop", "calibrate", "embargo"):
        return default
    split = Split(
        by=cast("SplitBy", node.choice("by", default.by, known=("time", "person", "both"), what="split")),
        test=node.number("test", default.test, low=0.01, high=0.5),
        stop=node.number("stop", default.stop, low=0.01, high=0.5),
        calibrate=node.number("calibrate", default.calibrate, low=0.01, high=0.5),
        embargo_us=duration_at(node, "embargo", None),
    )
    if split.test + split.stop + split.calibrate > 0.9:
        node.fail("test, stop and calibrate are more than 0.9 together; nothing would be left to learn from")
    return split


def _heads(root: Node) -> tuple[str, ...]:
    node = root.get("heads")
    chosen = []
    for element in [] if node is None else node.elements():
        name = element.as_choice(HEADS, "head")
        if name in chosen:
            element.fail(f"{shown(name)} is given twice; keep one")
        elif name is not None:
            chosen.append(name)
    return tuple(chosen)


def _monotone(node: Node | None) -> dict[str, Direction]:
    result: dict[str, Direction] = {}
    if node is None or not node.is_mapping():
        return result
    for key, child in node.items():
        direction = child.as_choice(("up", "down"), "direction")
        if not key.startswith("offer."):
            child.fail(f"{shown(key)} is no attribute of an offer; only columns like offer.price can be held")
        elif direction is not None:
            result[key] = cast("Direction", direction)
    return result


def check_monotone(settings: Settings, columns: tuple[str, ...]) -> str:
    """What is wrong with the columns that `monotone` names, empty if nothing."""
    known = [f"offer.{column}" for column in columns]
    for name in settings.monotone:
        if name not in known:
            return f"monotone.{name}: there is no such column; {did_you_mean(name, known)}"
    return ""


def _model(node: Node | None, seed: int) -> tuple[int, int, Descent]:
    default = Descent(seed=seed)
    if node is None or not node.only(
        *("hidden", "rank", "batch", "epochs", "patience", "rate", "penalty", "code_dropout", "modesty")
    ):
        return 24, 6, default
    descent = Descent(
        batch=node.integer("batch", default.batch, low=64, high=65_536),
        epochs=node.integer("epochs", default.epochs, low=1, high=1000),
        patience=node.integer("patience", default.patience, low=1, high=100),
        rate=node.number("rate", default.rate, low=1e-5, high=1.0),
        penalty=node.number("penalty", default.penalty, low=0.0, high=1e6),
        code_dropout=node.number("code_dropout", default.code_dropout, low=0.0, high=0.9),
        modesty=node.number("modesty", default.modesty, low=0.0, high=100.0),
        seed=seed,
    )
    if descent.batch & (descent.batch - 1):
        node.fail_at("batch", f"is {descent.batch}; a power of two is needed")
    return node.integer("hidden", 24, low=1, high=256), node.integer("rank", 6, low=1, high=64), descent
