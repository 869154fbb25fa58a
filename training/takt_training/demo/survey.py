"""Dry runs over many households: what would be said, and which households make a varied handful to look at."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct, field

from takt.cli.client import Client
from takt.cli.messages import Answer, Question
from takt.cli.show import status

CONTEXT = {"page": "home"}


class Seen(Struct, frozen=True):
    """One household's dry run."""

    profile_id: str
    answer: Answer
    took_s: float
    """As the caller felt it, alone."""

    @property
    def first_offer(self) -> str:
        """The offer that it would get first; empty for none."""
        return next((p.offers[0].offer for p in self.answer.placements if p.offers), "")

    @property
    def best_score(self) -> float:
        """Score of the best offer that it would get; 0, the worth of silence, for none."""
        return max((offer.score.total for p in self.answer.placements for offer in p.offers), default=0.0)

    @property
    def silent(self) -> bool:
        """Whether saying nothing would be best at every placement where there is anything to say."""
        words = [status(placement) for placement in self.answer.placements]
        return "SILENCE" in words and "OFFERED" not in words


class Survey(Struct):
    """What many dry runs gave, and whom to look at."""

    seen: list[Seen] = field(default_factory=list)

    @property
    def stages(self) -> Counter[str]:
        """How many households are in each journey stage."""
        return Counter(one.answer.stage for one in self.seen)

    @property
    def median_ms(self) -> float:
        """Median time of one call of a lone caller, in milliseconds."""
        return 1000 * statistics.median(one.took_s for one in self.seen)

    def statuses(self, placement: str) -> Counter[str]:
        """How many households get an offer, silence, a fallback at a placement."""
        return Counter(status(p) for one in self.seen for p in one.answer.placements if p.placement == placement)

    def offers(self, placement: str) -> Counter[str]:
        """How often each offer would be shown at a placement."""
        shown = (p for one in self.seen for p in one.answer.placements if p.placement == placement)
        return Counter(offer.offer for p in shown for offer in p.offers)

    def varied(self, count: int) -> list[Seen]:
        """Households with an offer, as different as can be: no two of one stage and first offer, new stages first."""
        offered = [one for one in self.seen if one.first_offer]
        picks: list[Seen] = []
        tests: tuple[Callable[[Seen, Seen], bool], ...] = (
            lambda a, b: a.answer.stage != b.answer.stage and a.first_offer != b.first_offer,
            lambda a, b: a.first_offer != b.first_offer,
            lambda a, b: a.profile_id != b.profile_id,
        )
        for differs in tests:
            for one in offered:
                if len(picks) < count and all(differs(one, pick) for pick in picks):
                    picks.append(one)
        return picks

    def silences(self) -> Iterator[Seen]:
        """Households that are better left alone."""
        return (one for one in self.seen if one.silent)


def survey(client: Client, profile_ids: Iterable[str], placements: tuple[str, ...]) -> Survey:
    """Ask for each, one after the other, without counting anything."""
    made = Survey()
    for profile_id in profile_ids:
        question = Question(profile_id=profile_id, placements=placements, context=CONTEXT, dry_run=True)
        begun = time.perf_counter()
        answer = client.decide(question)
        made.seen.append(Seen(profile_id, answer, time.perf_counter() - begun))
    return made
