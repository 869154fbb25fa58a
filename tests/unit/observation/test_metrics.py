"""What is counted, under which name."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.domain.decision import (
    Decision,
    Degradation,
    Exclusion,
    PlacementDecision,
    RankedOffer,
    Score,
    TimingWindow,
    Versions,
)
from takt.domain.reasons import Cause, Reason, Status
from takt.observation.exposition import Exposition, ExpositionError
from takt.observation.metrics import STATUSES, Metrics
from takt.ports import Commit, Counted, Outcome

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"

OFFER = RankedOffer(
    1, "milk", "web", "t", "c", "", "warm", "FORMAL", TimingWindow("now", 0, 1), Score(*[0.5] * 9), 1.0, 1.0, 0, "CLICK"
)


@pytest.fixture
def metrics() -> Metrics:
    """Metrics without the process's own."""
    return Metrics(CollectorRegistry())


def samples(metrics: Metrics) -> dict[str, float]:
    """All counted so far but what is still zero, as Prometheus would read it."""
    text = generate_latest(metrics.registry).decode()
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.value and not sample.name.endswith(("_bucket", "_created"))
    }


def decision(*placements: PlacementDecision, degradations: tuple[Degradation, ...] = ()) -> Decision:
    """A decision on these placements."""
    return Decision(
        decision_id="d",
        request_id="r-secret",
        profile_id="p-secret",
        anonymous=False,
        stage="",
        placements=placements,
        versions=Versions("c", "m", "f", "s"),
        decided_at_us=0,
        attempts=2,
        dry_run=False,
        degradations=degradations,
    )


def test_a_decision_is_counted_by_status_and_reason(metrics: Metrics) -> None:
    """Placements by what they got, offers left out by reason, answers by cause of degradation."""
    metrics.decided(
        decision(
            PlacementDecision(
                "hero",
                "web",
                Status.OFFERED,
                (OFFER,),
                exclusions=(Exclusion(Reason.CAP_OFFER, 3), Exclusion(Reason.OUTRANKED, 5)),
            ),
            PlacementDecision("side", "web", Status.SILENCE, exclusions=(Exclusion(Reason.CAP_OFFER, 4),)),
            degradations=(Degradation(Cause.MODEL, "no model"),),
        )
    )

    assert {
        "takt_decisions_total,degraded=true,dry_run=false": 1,
        "takt_placements_total,placement=hero,status=OFFERED": 1,
        "takt_placements_total,placement=side,status=SILENCE": 1,
        "takt_offers_total,channel=web": 1,
        "takt_exclusions_total,reason=CAP_OFFER": 7,
        "takt_exclusions_total,reason=OUTRANKED": 5,
        "takt_degradations_total,cause=MODEL": 1,
        "takt_decision_attempts_count": 1,
        "takt_decision_attempts_sum": 2,
    } == samples(metrics)


def counted(catalog: Catalog) -> Counted:
    """Three requests of a batch: one was offered something for the first placement, two nothing for the last."""
    statuses = np.zeros((len(catalog.placements), len(STATUSES) + 1), np.int64)
    statuses[0, 1 + STATUSES.index(Status.OFFERED)] = 1
    statuses[-1, 1 + STATUSES.index(Status.SILENCE)] = 2
    reasons = np.zeros(max(Reason) + 1, np.int64)
    reasons[Reason.CAP_OFFER] = 7
    offers = np.zeros(len(catalog.channels), np.int64)
    offers[0] = 1
    return Counted(
        catalog, {(False, False): 2, (True, True): 1}, {1: 1, 2: 1}, [Cause.MODEL], statuses, reasons, offers
    )


def test_batches_are_counted_from_any_thread_under_any_catalog(metrics: Metrics) -> None:
    """Nothing is lost where threads, catalogs and readers meet."""
    catalogs = [load_workspace(MINIMAL), load_workspace(MINIMAL)]

    def settle(thread: int) -> None:
        for catalog in (catalogs[thread % 2], *[catalogs[0]] * 8, catalogs[1]):
            metrics.settled(counted(catalog))
            if thread == 0:
                samples(metrics)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(settle, range(8)))

    first, last, channel = catalogs[0].placements[0].id, catalogs[0].placements[-1].id, catalogs[0].channels[0].id
    assert {
        "takt_decisions_total,degraded=false,dry_run=false": 160,
        "takt_decisions_total,degraded=true,dry_run=true": 80,
        f"takt_placements_total,placement={first},status=OFFERED": 80,
        f"takt_placements_total,placement={last},status=SILENCE": 160,
        f"takt_offers_total,channel={channel}": 80,
        "takt_exclusions_total,reason=CAP_OFFER": 560,
        "takt_degradations_total,cause=MODEL": 80,
        "takt_decision_attempts_count": 160,
        "takt_decision_attempts_sum": 240,
    } == samples(metrics)


def test_what_is_told_stays_with_who_told_it(metrics: Metrics) -> None:
    """The arrays of a batch are summed apart from it."""
    told = counted(load_workspace(MINIMAL))
    metrics.settled(told)
    metrics.settled(told)

    assert 7 == told.reasons[Reason.CAP_OFFER]
    assert 14 == samples(metrics)["takt_exclusions_total,reason=CAP_OFFER"]


def test_the_work_of_the_service_is_counted(metrics: Metrics) -> None:
    """Stages, batches, calls, round trips, commits, feedback and refusals each have their series."""
    metrics.stage("score", 0.5)
    metrics.batch(4)
    metrics.called("DecisionService.Decide", "OK", 0.25)
    metrics.round_trip("commit", 0.125, ok=False)
    metrics.races([Outcome(Commit.CONFLICT, 0, {})])
    metrics.feedback("LATE")
    metrics.refused("RequestIdReusedError")

    assert {
        "takt_stage_seconds_count,stage=score": 1,
        "takt_stage_seconds_sum,stage=score": 0.5,
        "takt_batch_size_count": 1,
        "takt_batch_size_sum": 4,
        "takt_call_seconds_count,code=OK,method=DecisionService.Decide": 1,
        "takt_call_seconds_sum,code=OK,method=DecisionService.Decide": 0.25,
        "takt_store_seconds_count,call=commit,ok=false": 1,
        "takt_store_seconds_sum,call=commit,ok=false": 0.125,
        "takt_commits_total,outcome=CONFLICT": 1,
        "takt_feedback_events_total,outcome=LATE": 1,
        "takt_refusals_total,reason=REQUEST_ID_REUSED": 1,
    } == samples(metrics)


def test_gauges_are_read_when_asked(metrics: Metrics) -> None:
    """Queues and the store's state are as they are at the moment of reading, and the build is what is in force now."""
    waiting, up = [3], [True]
    metrics.watch_queue("decide", lambda: waiting[0])
    metrics.watch_store(lambda: up[0])
    metrics.in_force(version="1", catalog="a", model="m/1", features="f")
    metrics.in_force(version="1", catalog="b", model="m/1", features="f")

    assert {
        "takt_waiting,queue=decide": 3,
        "takt_store_up": 1,
        "takt_build_info,catalog=b,features=f,model=m/1,version=1": 1,
    } == samples(metrics)
    waiting[0], up[0] = 5, False
    assert 5 == samples(metrics)["takt_waiting,queue=decide"]
    assert "takt_store_up" not in samples(metrics)


def test_nobody_is_named(metrics: Metrics) -> None:
    """No series bears an id of a person or request."""
    metrics.decided(decision(PlacementDecision("hero", "web", Status.OFFERED, (OFFER,))))

    assert b"secret" not in generate_latest(metrics.registry)


def test_prometheus_can_read_it() -> None:
    """The address serves the registry, the process's own figures included, until it is closed."""
    metrics = Metrics()
    with Exposition(metrics.registry, "127.0.0.1", 0) as exposition:
        url = f"http://127.0.0.1:{exposition.port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()

    assert 'takt_degradations_total{cause="STORE"} 0.0' in text
    assert "process_resident_memory_bytes" in text
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)


def test_an_address_in_use_is_named() -> None:
    """Two processes cannot serve metrics on one address: the second is told which."""
    with (
        Exposition(CollectorRegistry(), "127.0.0.1", 0) as first,
        pytest.raises(ExpositionError, match=rf"^127\.0\.0\.1:{first.port} cannot be listened on: "),
    ):
        Exposition(CollectorRegistry(), "127.0.0.1", first.port)


def test_the_log_that_waits_is_told() -> None:
    """How much nobody has exported yet, and for how long: what fills a store."""
    metrics = Metrics(CollectorRegistry())
    metrics.log(1_200, 45.5)

    assert {"takt_log_entries": 1_200, "takt_log_oldest_seconds": 45.5}.items() <= samples(metrics).items()
