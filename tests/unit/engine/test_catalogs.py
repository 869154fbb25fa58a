"""Catalogs on their way into force, on a store in memory: who loads what when, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from takt.catalog.workspace import CheckReport, check_files
from takt.clock import DAY_US, SECOND_US
from takt.domain.edition import LAST_TRIM_US, PATIENCE_US, Edition, Following, SourceFile
from takt.domain.reasons import Cause
from takt.engine.catalogs import Catalogs, Wish, next_edition, uncovered
from takt.engine.engine import Engine
from takt.engine.force import Force, force
from takt.errors import (
    CatalogChangedError,
    CatalogNotFoundError,
    CatalogUnusableError,
    InvalidRequestError,
    ModelError,
    TaktError,
    WindowNotCoveredError,
    WorkspaceError,
)
from takt.model.prior import ConstantScorer
from tests.unit.engine.conftest import MINIMAL, MONDAY_NOON_US, World

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog

TEXTS = {path.name: path.read_text(encoding="utf-8") for path in MINIMAL.glob("*.yaml")}


def files(*, limit: int = 5, keep: str = "35d", window: str = "7d") -> tuple[SourceFile, ...]:
    """The small workspace with another limit of a person's contacts in a week."""
    catalog = TEXTS["catalog.yaml"].replace("limit: 5, window: 7d", f"limit: {limit}, window: {window}")
    catalog = catalog.replace("keep: 35d", f"keep: {keep}")
    return tuple(
        SourceFile(name, (catalog if name == "catalog.yaml" else text).encode()) for name, text in TEXTS.items()
    )


def workspace(**changes: Any) -> tuple[CheckReport, tuple[SourceFile, ...]]:
    """The same, as a replica is started with it."""
    return check_files(files(**changes)), files(**changes)


def wish(given: tuple[SourceFile, ...], **changes: Any) -> Wish:
    """Somebody wants it."""
    return Wish(given, **({"actor": "anna", "reason": "a test"} | changes))


@dataclass
class Witness:
    """Remembers what it was told."""

    editions: list[int] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    unable: list[int] = field(default_factory=list)

    def turned(self, force: Force) -> None:
        """Remember which."""
        self.editions.append(force.edition)

    def seen(self, following: Following) -> None:
        """Forget it."""

    def unusable(self, number: int, error: TaktError) -> None:
        """Remember which."""
        assert isinstance(error, CatalogUnusableError)
        self.unable.append(number)

    def asked(self, outcome: str) -> None:
        """Remember it."""
        self.outcomes.append(outcome)


class Fit:
    """A model that fits what it is told to."""

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        """Versions of catalogs."""

    def __call__(self, catalog: Catalog, edition: int, *, strict: bool) -> Force:
        """See `takt.engine.catalogs.Fit`."""
        if catalog.version not in self.refuses:
            return force(catalog, ConstantScorer(), edition=edition)
        if strict:
            raise ModelError("bundle m/1 is refused:\n  it reads age, which is gone\n  it reads income, which is gone")
        return force(catalog, ConstantScorer(), ((Cause.MODEL, "refused"),), edition=edition)


@dataclass
class Replica:
    """One replica on a store that several share."""

    world: World
    name: bytes
    pause: Callable[[float], None] = lambda _: None
    fit: Fit = field(default_factory=Fit)
    witness: Witness = field(default_factory=Witness)

    def __post_init__(self) -> None:
        self.catalogs = Catalogs(
            self.world.store,
            replica=self.name * 16,
            fit=self.fit,
            witness=self.witness,
            pause=self._wait,
        )

    def start(self, **changes: Any) -> Replica:
        """Begin to serve, with a workspace of one's own."""
        in_force = self.catalogs.open(*workspace(**changes))
        self.engine: Engine = self.world.replica()
        self.engine.redeploy(in_force)
        self.catalogs.serve(self.engine)
        self.catalogs.follow()
        return self

    def _wait(self, seconds: float) -> None:
        self.pause(seconds)

    @property
    def limit(self) -> int:
        """Of a person's contacts in a week."""
        return self.engine.force.catalog.caps[0].limit


@pytest.fixture
def shop(minimal: Catalog) -> World:
    """A world whose store has no catalog yet."""
    return World(minimal)


def together(*replicas: Replica) -> None:
    """Let all follow whenever one of them waits."""

    def follow(_: float) -> None:
        for replica in replicas:
            replica.catalogs.follow()

    for replica in replicas:
        replica.pause = follow


def test_the_first_workspace_is_the_first_catalog(shop: World) -> None:
    """A store without a catalog takes that of who comes first; who comes with another later follows it."""
    first, second = Replica(shop, b"a").start(limit=3), Replica(shop, b"b").start(limit=4)

    assert (3, 3) == (first.limit, second.limit)
    assert [1, 1] == [replica.engine.force.edition for replica in (first, second)]
    assert ["takt serve"] == [edition.actor for edition in shop.store.editions.history()]


def test_a_first_workspace_with_errors_is_none(shop: World) -> None:
    """Nothing is announced that nobody could load."""
    with pytest.raises(WorkspaceError, match="limit"):
        Replica(shop, b"a").start(limit="none")

    assert [] == shop.store.editions.history()


def test_a_workspace_that_is_in_force_is_not_checked_again(shop: World) -> None:
    """The report on it is taken for what it says; for other files, theirs counts."""
    first, same, other = (Replica(shop, name).catalogs for name in (b"a", b"b", b"c"))
    (report, given), (another, others) = workspace(limit=3), workspace(limit=4)

    assert report.catalog is first.open(report, given).catalog
    assert report.catalog is same.open(report, given).catalog
    in_force = other.open(another, others).catalog
    assert report.catalog is not in_force
    assert report.catalog is not None
    assert report.catalog.version == in_force.version


def test_a_later_workspace_may_have_errors(shop: World) -> None:
    """It is not looked at once there is a catalog in force."""
    Replica(shop, b"a").start(limit=3)

    assert 3 == Replica(shop, b"b").start(limit="none").limit


def test_applied_is_what_all_decide_by(shop: World) -> None:
    """When it returns, each replica has turned, and every partition is where they are."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()
    together(one, two)

    applied = one.catalogs.apply(wish(files(limit=2)))

    assert (2, 2, 2) == (one.limit, two.limit, shop.store.edition)
    assert (True, "anna", 2) == (applied.changed, applied.edition.actor, applied.edition.number)
    assert [[1, 2], [1, 2]] == [one.witness.editions, two.witness.editions]
    assert ["APPLIED"] == one.witness.outcomes


def test_nothing_is_in_force_before_all_have_loaded_it(shop: World) -> None:
    """A replica that is heard of and has not loaded it holds it back; decisions go on by the old one meanwhile."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()
    shop.person()
    before = []

    def wait(_: float) -> None:
        if len(before) < 3:
            before.append((one.limit, two.limit, shop.store.edition))
        else:
            two.catalogs.follow()

    one.pause = wait
    one.catalogs.apply(wish(files(limit=2)))

    assert [(5, 5, 1)] * 3 == before
    assert (2, 2) == (one.limit, two.limit)


def test_a_replica_that_does_not_turn_is_turned_by_its_next_commit(shop: World) -> None:
    """It has loaded it, and is not heard of again: nothing is decided there by the old one all the same."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()
    shop.person()
    loaded = []

    def wait(_: float) -> None:
        if not loaded:
            loaded.append(shop.store.editions.files(2))
            two.engine.prepare(two.catalogs._loaded(2))
            shop.store.editions.follow(two.name * 16, 2, 1)

    one.pause = wait
    assert one.catalogs.apply(wish(files(limit=2))).changed
    assert 5 == two.limit

    shop.engine = two.engine
    assert one.engine.force.catalog.version == shop.decide(shop.ask("r1")).versions.catalog
    assert 2 == two.limit


def test_what_is_in_force_already_changes_nothing(shop: World) -> None:
    """The edition stays the one that it was; comments make no difference."""
    one = Replica(shop, b"a").start()
    commented = tuple(replace(file, content=b"# a comment\n" + file.content) for file in files())

    applied = one.catalogs.apply(wish(commented))

    assert (False, 1) == (applied.changed, applied.edition.number)
    assert (["UNCHANGED"], 1) == (one.witness.outcomes, len(shop.store.editions.history()))


def test_errors_and_misfits_are_refused_whole(shop: World) -> None:
    """All that is wrong is named, by file, and what was in force stays."""
    one = Replica(shop, b"a").start()
    one.fit.refuses.add(check_files(files(limit=2)).catalog.version)  # type: ignore[union-attr]  # it is right

    with pytest.raises(WorkspaceError) as broken:
        one.catalogs.apply(wish(files(limit="none")))
    with pytest.raises(WorkspaceError) as misfit:
        one.catalogs.apply(wish(files(limit=2)))

    assert ["catalog.yaml:39: caps[0].limit"] == [v.field for v in broken.value.violations]
    assert ["it reads age", "it reads income"] == [v.message.split(",")[0] for v in misfit.value.violations]
    assert {"catalog.yaml"} == {v.field for v in misfit.value.violations}
    assert (["INVALID", "INVALID"], 5, 1) == (one.witness.outcomes, one.limit, len(shop.store.editions.history()))
    assert not one.catalogs.validate(files(limit=2)).ok


def test_a_replica_with_another_model_follows_all_the_same(shop: World) -> None:
    """Policy holds everywhere; where the model does not fit a prior stands in, and says so."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()
    two.fit.refuses.add(check_files(files(limit=2)).catalog.version)  # type: ignore[union-attr]  # it is right
    together(one, two)

    one.catalogs.apply(wish(files(limit=2)))

    assert (2, [Cause.MODEL]) == (two.limit, [cause for cause, _ in two.engine.force.degradations])
    assert two.catalogs.apply(wish(files(limit=3))).changed  # it has no model that a catalog could be too much for


def test_a_version_that_was_expected_in_vain(shop: World) -> None:
    """Nobody's change is overwritten unseen."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()
    together(one, two)
    version = one.engine.force.catalog.version
    one.catalogs.apply(wish(files(limit=2), expected=version))

    with pytest.raises(CatalogChangedError, match="is in force"):
        two.catalogs.apply(wish(files(limit=3), expected=version))

    assert (["CHANGED"], 2) == (two.witness.outcomes, two.limit)


def test_what_was_announced_is_completed_by_whoever_is_there(shop: World) -> None:
    """The replica that announced it is gone; the other puts it in force once it is not heard of any more."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()

    def gone(_: float) -> None:
        raise ZeroDivisionError

    one.pause = gone
    with pytest.raises(ZeroDivisionError):
        one.catalogs.apply(wish(files(limit=2)))
    assert 5 == two.limit
    two.catalogs.follow()
    shop.clock.advance(6 * SECOND_US)
    two.catalogs.follow()

    assert (2, 2) == (two.limit, shop.store.edition)


def test_an_edition_that_cannot_be_loaded_is_not_waited_for(shop: World) -> None:
    """A replica that is too old for it falls back once it is in force, says so, and can be led back."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()
    shop.store.editions.announce(
        next_edition(shop.store.editions.history()[0], shop.catalog, actor="newer", reason="", contacts=True),
        [SourceFile("catalog.yaml", b"name: from the future\n")],
    )
    for replica in (one, two, one, two):
        replica.catalogs.follow()

    assert ([2], [2], 5) == (one.witness.unable, two.witness.unable, one.limit)
    together(one, two)
    assert 3 == one.catalogs.apply(wish(files(limit=4))).edition.number
    assert (4, 4) == (one.limit, two.limit)


def test_a_replica_that_was_away_skips_what_it_missed(shop: World) -> None:
    """Several came and went meanwhile: it loads the one in force."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()
    shop.clock.advance(6 * SECOND_US)
    for limit in (2, 3, 4):
        one.catalogs.apply(wish(files(limit=limit)))

    two.catalogs.follow()

    assert (4, [1, 4]) == (two.limit, two.witness.editions)


def test_a_slow_replica_is_waited_for_so_long(shop: World) -> None:
    """Patience ends; who has not loaded it then gets there by its next step."""
    one, two = Replica(shop, b"a").start(), Replica(shop, b"b").start()

    def wait(_: float) -> None:
        shop.clock.advance(SECOND_US)
        shop.store.editions.follow(two.name * 16, 1, 1)  # it lives, and is still loading

    one.pause = wait
    before_us = shop.clock.now_us()
    assert one.catalogs.apply(wish(files(limit=2))).changed

    edition = shop.store.editions.history()[0]
    assert before_us + PATIENCE_US <= edition.in_force_us <= before_us + PATIENCE_US + 2 * SECOND_US
    assert 2 == one.limit


def test_reading_and_going_back(shop: World) -> None:
    """The newest edition of a version is found, with files that put it in force again."""
    one = Replica(shop, b"a").start()
    before = one.catalogs.get()
    one.catalogs.apply(wish(files(limit=2)))

    again = one.catalogs.apply(wish(one.catalogs.get(before.edition.version).files))

    assert (before.edition.version, 3, 5) == (again.edition.version, again.edition.number, one.limit)
    assert [True, False] == [
        one.catalogs.get(version).in_force for version in ("", one.catalogs.get().history[1].version)
    ]
    with pytest.raises(CatalogNotFoundError):
        one.catalogs.get("never")


# Since when contacts are known ----------------------------------------------------------------------------------------


def aged(shop: World) -> Replica:
    """A replica on a store that is older than contacts are kept."""
    one = Replica(shop, b"a").start()
    shop.clock.advance(100 * DAY_US)
    return one


def test_a_longer_window_waits_until_contacts_are_known(shop: World) -> None:
    """From 35 to 60 days takes 25 days and a minute, to the microsecond; and is said so."""
    one = aged(shop)
    long = files(keep="60d", window="60d")
    with pytest.raises(WindowNotCoveredError, match="put one in force first that raises"):
        one.catalogs.apply(wish(long))

    raised = one.catalogs.apply(wish(files(keep="60d"))).edition
    with pytest.raises(WindowNotCoveredError, match="can be applied from 2027-03-28T11:01:00Z on") as refused:
        one.catalogs.apply(wish(long))
    assert ["catalog.yaml:39: caps[0].window"] == [v.field for v in refused.value.violations]
    assert raised.in_force_us + LAST_TRIM_US - 35 * DAY_US == raised.covered_us

    shop.clock.at_us = raised.covered_us + 60 * DAY_US - 1
    with pytest.raises(WindowNotCoveredError):
        one.catalogs.apply(wish(long))
    shop.clock.advance(1)
    assert one.catalogs.apply(wish(long)).changed
    assert ["NOT_COVERED"] * 2 == [outcome for outcome in one.witness.outcomes if outcome == "NOT_COVERED"][:2]


def test_a_gap_looks_back_as_a_window_does(shop: World) -> None:
    """A minimum gap of 60 days needs 60 days of contacts."""
    one = aged(shop)
    longer = tuple(
        replace(file, content=file.content.replace(b"minimum_gap: 12h", b"minimum_gap: 60d"))
        for file in files(keep="60d")
    )

    with pytest.raises(WindowNotCoveredError, match=r"is 60d"):
        one.catalogs.apply(wish(longer))


def test_a_young_store_knows_all_there_was(shop: World) -> None:
    """Nothing was dropped in it yet, so that windows of any length are covered."""
    one = Replica(shop, b"a").start()
    shop.clock.advance(30 * DAY_US)
    one.catalogs.apply(wish(files(keep="90d")))

    assert one.catalogs.apply(wish(files(keep="90d", window="90d"))).changed
    assert 0 == one.catalogs.get().edition.covered_us


def test_keeping_less_forgets(shop: World) -> None:
    """Who keeps for 35 days in between has only those, whatever was kept before."""
    one = aged(shop)
    one.catalogs.apply(wish(files(keep="90d")))
    shop.clock.advance(100 * DAY_US)
    one.catalogs.apply(wish(files(keep="35d")))
    shop.clock.advance(50 * DAY_US)
    one.catalogs.apply(wish(files(keep="90d")))

    with pytest.raises(WindowNotCoveredError):
        one.catalogs.apply(wish(files(keep="90d", window="40d")))


def test_a_store_from_before_catalogs_knows_35_days(shop: World) -> None:
    """There are contacts, and nothing is known of the catalogs that they were made under."""
    shop.store.log.append(("decision", b""))
    one = Replica(shop, b"a").start(keep="90d")

    assert shop.clock.now_us() + LAST_TRIM_US - 35 * DAY_US == one.catalogs.get().edition.covered_us
    with pytest.raises(WindowNotCoveredError):
        one.catalogs.apply(wish(files(keep="90d", window="36d")))


def test_a_statement_covers(shop: World) -> None:
    """Who has added older contacts says so, and the window can come; no further back than contacts are kept."""
    one = aged(shop)
    one.catalogs.apply(wish(files(keep="60d")))
    now_us = shop.clock.now_us()

    with pytest.raises(InvalidRequestError, match="covered_since"):
        one.catalogs.cover(now_us - 60 * DAY_US - 1, actor="anna", reason="letters")
    one.catalogs.cover(now_us - 60 * DAY_US, actor="anna", reason="letters")

    assert one.catalogs.apply(wish(files(keep="60d", window="60d"))).changed


def test_what_is_known_survives_changes(shop: World) -> None:
    """Changes that do not touch how long contacts are kept forget nothing but what is older than that."""
    first = Edition(1, "a", "", "", "", 60 * DAY_US, kept_before_us=35 * DAY_US, in_force_us=MONDAY_NOON_US)
    later = replace(
        next_edition(first, shop.catalog, actor="", reason="", contacts=True),
        keep_us=60 * DAY_US,
        in_force_us=MONDAY_NOON_US + 5 * DAY_US,
    )
    report = replace(check_files(files()), lookbacks=(("somewhere", 41 * DAY_US), ("elsewhere", 40 * DAY_US)))

    assert first.covered_us == later.covered_us
    assert ["somewhere"] == [v.field for v in uncovered(report, later, MONDAY_NOON_US + 5 * DAY_US + LAST_TRIM_US)]
