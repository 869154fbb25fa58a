"""Checks of what happens when something is wrong: requests, time, the store, the service itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from takt.v1 import decision_pb2
from takt_training.demo.serving import Service
from tests.proofs.callers import FALLBACKS, Caller, ask, at_once, causes, offers
from tests.proofs.grounds import BUDGET_MS, HERO, TILES, Grounds, alive, seconds_until

HURRIED = 100
LOAD = 200
KILLED = 20
RECOVERY_S = 15.0
RESTARTED = 20


def wrong_requests(on: Grounds, caller: Caller) -> None:
    """What cannot be meant is refused, and the field is named; the service goes on."""
    on.figures.step("send requests that are wrong")
    profile_id = next(on.households)
    unknown, wrong_type = ask(profile_id, "home_heroo"), ask(profile_id, HERO)
    wrong_type.context["page"].int_value = 3
    many = ask(profile_id, *(f"placement_{n}" for n in range(10_000)))
    invalid = "INVALID_ARGUMENT INVALID_REQUEST"
    for name, request, field in (
        ("unknown_placement", unknown, "placements[0].placement"),
        ("wrong_context_type", wrong_type, 'context["page"]'),
        ("ten_thousand_placements", many, "placements"),
    ):
        code, fields = caller.refusal(request)
        on.figures.check(name, code if field in fields else f"{code} {fields[:3]}", f"== {invalid}")
    on.figures.check("answered_afterwards", caller.refusal(ask(profile_id, HERO))[0], "== OK")


def hurry(on: Grounds, caller: Caller) -> None:
    """With a budget of one millisecond every page gets an answer: decided in time, or a fallback that says why."""
    on.figures.step(f"{HURRIED} requests with a budget of 1 ms, eight at once")
    requests = [ask(next(on.households), HERO, TILES) for _ in range(HURRIED)]
    for request in requests:
        request.budget.FromMilliseconds(1)
    answers = at_once(8, requests, caller.decide)
    on.count.add(answers)
    late = [answer for answer in answers if "DEADLINE" in causes(answer)]
    on.figures.check("hurried_answers", len(answers), f"== {HURRIED}")
    on.figures.check("hurried_fallbacks", len(late), ">= 1")
    on.figures.check("hurried_fallbacks_with_offers", sum(len(offers(answer)) for answer in late), "== 0")
    on.figures.check("hurried_degraded_otherwise", sum(bool(causes(a) - {"DEADLINE"}) for a in answers), "== 0")


def store_stopped(on: Grounds, caller: Caller) -> None:
    """A store that hangs under load: fallbacks in time, nobody contacted; recovery by itself."""
    on.figures.step(f"stop the store (SIGSTOP) under {LOAD} requests of eight callers, and let it go on")
    requests = [ask(next(on.households), HERO, TILES) for _ in range(LOAD)]
    answers: list[decision_pb2.DecideResponse] = []
    slowest_ms: list[float] = []

    def timed(request: decision_pb2.DecideRequest) -> None:
        begun = time.perf_counter()
        answers.append(on.real(caller, request))
        slowest_ms.append(1000 * (time.perf_counter() - begun))

    pid = on.store_pid()
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(at_once, 8, requests, timed)
        seconds_until(lambda: len(answers) >= LOAD // 10, at_most_s=30.0)
        os.kill(pid, signal.SIGSTOP)
        try:
            seconds_until(lambda: sum(bool(a.degradations) for a in list(answers)) >= LOAD // 4, at_most_s=RECOVERY_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        load.result()
    degraded = [answer for answer in answers if answer.degradations]
    on.figures.check("stopped_store_answers", len(answers), f"== {LOAD}")
    on.figures.check("stopped_store_fallbacks", len(degraded), f">= {LOAD // 4}")
    on.figures.check("stopped_store_answers_without_fallback", _without_fallback(degraded), "== 0")
    on.figures.check("stopped_store_slowest_ms", round(max(slowest_ms), 1), f"<= {BUDGET_MS + 500}")
    recovered = seconds_until(_serves(on, caller), at_most_s=RECOVERY_S)
    on.figures.check("stopped_store_recovered_after_s", recovered, f"< {RECOVERY_S}")


def restarted(on: Grounds, service: Service) -> None:
    """Killed and started again on the same directory: profiles, contacts and answers are all there."""
    caller, admin = Caller(service.public.address), Caller(service.admin.address)
    households = on.offered(caller, RESTARTED, HERO)
    requests = [ask(profile_id, *on.placements) for profile_id in households]
    before = [on.real(caller, request) for request in requests]
    profiles = [admin.profile(profile_id) for profile_id in households]
    on.figures.step("kill the service (SIGKILL)")
    pid = on.store_pid()
    service.kill()
    orphan = seconds_until(lambda: not alive(pid), at_most_s=5.0)
    on.figures.check("store_gone_with_its_service_after_s", orphan, "< 5.0")
    on.figures.step("start again on the same data directory")
    begun = time.monotonic()
    with on.service() as again:
        again.await_ready()
        on.figures.check("serving_again_after_s", round(time.monotonic() - begun, 1), "shown")
        caller, admin = Caller(again.public.address), Caller(again.admin.address)
        on.figures.check("answers_lost_with_the_service", forgotten(on, caller, requests, before), "== 0")
        lost = sum(admin.profile(profile_id) != found for profile_id, found in zip(households, profiles, strict=True))
        on.figures.check("profiles_lost_with_the_service", lost, "== 0")
        store_killed(on, caller, again)
        on.figures.check("answers_lost_with_the_store", forgotten(on, caller, requests, before), "== 0")
        for request in requests:
            for _ in range(4):
                on.real(caller, ask(request.profile_id, *on.placements))
        on.figures.check("over_delivered_across_restarts", on.count.over_delivered(on.catalog), "== 0")
        on.figures.step("end the service (SIGTERM)")
        pid = on.store_pid()
        on.figures.check("exit_code_after_sigterm", again.stop(), "== 0")
        on.figures.check("store_ended_with_it", str(not alive(pid)), "== True")


def store_killed(on: Grounds, caller: Caller, service: Service) -> None:
    """A store that died: fallbacks, and nobody contacted, until it is back; the service stays."""
    on.figures.step("kill the store (SIGKILL), and ask on until it is back")
    requests = [ask(next(on.households), HERO, TILES) for _ in range(KILLED)]
    pid = on.store_pid()
    os.kill(pid, signal.SIGKILL)
    degraded: list[decision_pb2.DecideResponse] = []

    def back() -> bool:
        answer = on.real(caller, requests[len(degraded) % KILLED])
        if answer.degradations:
            degraded.append(answer)
        return not answer.degradations

    recovered = seconds_until(back, at_most_s=RECOVERY_S)
    on.figures.check("killed_store_recovered_after_s", recovered, f"< {RECOVERY_S}")
    on.figures.check("killed_store_fallbacks", len(degraded), ">= 1")
    on.figures.check("killed_store_answers_without_fallback", _without_fallback(degraded), "== 0")
    on.figures.check("killed_store_is_another_process", str(on.store_pid() != pid), "== True")
    on.figures.check("service_lived_on", str(alive(service.pid)), "== True")


def forgotten(
    on: Grounds,
    caller: Caller,
    requests: list[decision_pb2.DecideRequest],
    before: list[decision_pb2.DecideResponse],
) -> int:
    """How many repeats of these requests get another answer than before."""
    again = [on.real(caller, request) for request in requests]
    return sum(
        a.SerializeToString(deterministic=True) != b.SerializeToString(deterministic=True)
        for a, b in zip(before, again, strict=True)
    )


def _serves(on: Grounds, caller: Caller) -> Callable[[], bool]:
    """Whether a request is decided without a degradation."""
    profile_id = next(on.households)
    return lambda: not on.real(caller, ask(profile_id, HERO)).degradations


def _without_fallback(answers: list[decision_pb2.DecideResponse]) -> int:
    """How many answers lack the cause STORE, or have a placement without its fallback."""
    return sum(causes(a) != {"STORE"} or any(p.status not in FALLBACKS for p in a.placements) for a in answers)
