"""Round trips are counted by name and told to whoever watches."""

from __future__ import annotations

from takt.redis.trips import RoundTrips, TripCount


def test_trips_are_counted_by_name() -> None:
    """Failures are trips too: they cost as much."""
    trips = RoundTrips()
    trips.add("fetch", 100, ok=True)
    trips.add("fetch", 50, ok=False)
    trips.add("commit", 10, ok=True)

    assert {"fetch": TripCount(2, 1, 150), "commit": TripCount(1, 0, 10)} == trips.counts()
    assert (3, 2, 0) == (trips.trips(), trips.trips("fetch"), trips.trips("mark"))


def test_trips_are_observed() -> None:
    """Metrics get each as it ends, in seconds."""
    seen: list[tuple[str, float, bool]] = []
    RoundTrips(lambda name, seconds, ok: seen.append((name, seconds, ok))).add("fetch", 1500, ok=False)

    assert [("fetch", 0.0015, False)] == seen
