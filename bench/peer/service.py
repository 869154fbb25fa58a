"""One endpoint: profile from Redis, rules, one run of the model, caps, a log entry, an answer."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import onnxruntime
import redis.asyncio as redis
from fastapi import FastAPI, Response
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour
from limits.aio.storage import RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from pydantic import BaseModel

from bench.peer.rules import ANNOYANCE_COST, CONTACT_COST, Profile, Shelf, stage_of
from bench.workspace import PLACEMENTS, TIMINGS, TONALITIES
from takt.catalog.snapshot import Catalog

PERSON: Final = RateLimitItemPerDay(14, 7, namespace="person-week")
WEB: Final = RateLimitItemPerDay(8, 1, namespace="web-day")
TOP: Final = RateLimitItemPerHour(6, 24, namespace="top-day")
GROUP: Final = RateLimitItemPerDay(9, 7, namespace="group-week")
OFFER: Final = RateLimitItemPerDay(2, 7, namespace="offer-week")
SLOTS: Final = 3
EPSILON, ARM_EPSILON = 0.05, 0.25
REMEMBERED_S: Final = 900
LOG_LENGTH: Final = 100_000
CONNECTIONS: Final = 64
"""To the store; more than these cost more than they gain."""

Decided = dict[str, list[dict[str, Any]]]
"""Offers by placement."""


class Ask(BaseModel):
    """The request's body."""

    request_id: str
    profile_id: str
    placements: list[str]
    context: dict[str, str] = {}


class Decider:
    """Decides for one request at a time; many at once on one event loop."""

    def __init__(self, catalog: Catalog, model: Path, store: str) -> None:
        """Load everything that does not change."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            (model / "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self._shelf = Shelf.of(catalog)
        spec = catalog.spec
        self._vocabulary = {f.name: {v: i for i, v in enumerate(f.values)} for f in spec.profile.features if f.values}
        self._profile_columns = [feature.name for feature in spec.profile.features]
        self._context_columns = [feature.name for feature in spec.context.features if feature.model]
        self._context_values = {f.name: {v: i for i, v in enumerate(f.values)} for f in spec.context.features}
        pool = redis.BlockingConnectionPool.from_url(store, max_connections=CONNECTIONS, timeout=None)
        self._redis: Any = redis.Redis(connection_pool=pool)
        shared: dict[str, Any] = {"connection_pool": pool}
        self._storage = RedisStorage(f"async+{_for_limits(store)}", implementation="redispy", **shared)
        self._script: Any = cast("RedispyBridge", self._storage.bridge).lua_acquire_moving_window
        self._sha: str | None = None

    async def decide(self, ask: Ask) -> bytes:
        """The answer as JSON."""
        known, raw = await self._redis.mget(f"answer:{ask.request_id}", f"profile:{ask.profile_id}")
        if known is not None:
            return bytes(known)
        profile: Profile = json.loads(raw) if raw else {}
        stage = stage_of(profile)
        page = ask.context.get("page", "")
        decided: Decided = {placement: [] for placement in ask.placements}
        allowed = "web.personalisation" in profile.get("consents", ())
        if allowed and all(await self._occasion(ask)):
            scores, arms, acceptance = self._scored(profile, stage, page)
            await self._fill(ask, decided, scores, arms, acceptance)
        answer = json.dumps(
            {
                "request_id": ask.request_id,
                "profile_id": ask.profile_id,
                "stage": stage,
                "placements": [
                    {"placement": name, "status": "OFFERED" if offers else "FALLBACK", "offers": offers}
                    for name, offers in decided.items()
                ],
            }
        ).encode()
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.set(f"answer:{ask.request_id}", answer, ex=REMEMBERED_S, nx=True)
            pipeline.xadd("decisions", {"answer": answer}, maxlen=LOG_LENGTH, approximate=True)
            await pipeline.execute()
        return answer

    def _scored(self, profile: Profile, stage: str, page: str) -> tuple[Any, Any, Any]:
        """Scores [offers] of each offer's best arm, those arms, and acceptances [timings, tonalities, offers]."""
        shelf = self._shelf
        columns = [self._number(name, profile.get(name)) for name in self._profile_columns]
        now = time.localtime()
        known = {"hour": now.tm_hour, "weekday": now.tm_wday, "channel": 0, "page": self._code("page", page)}
        known["stage"] = self._code("stage", stage)
        context = [known.get(name, np.nan) for name in self._context_columns]
        acceptance, reaction = self._session.run(
            ["acceptance", "reaction"],
            {
                "profile": np.array([columns], np.float32),
                "context": np.array([context], np.float32),
                "offers": shelf.features,
                "offer_code": shelf.codes,
            },
        )
        earned = acceptance[0] * (shelf.values * shelf.weights(stage, page))
        total = earned - ANNOYANCE_COST * reaction[0] - CONTACT_COST
        flat = total.reshape(-1, total.shape[-1])
        arms = flat.argmax(0)
        scores = flat[arms, np.arange(flat.shape[1])]
        scores[~shelf.eligible(profile, stage)] = -np.inf
        return scores, arms, acceptance[0]

    def _code(self, feature: str, value: str) -> float:
        return self._context_values[feature].get(value, np.nan)

    def _number(self, name: str, value: Any) -> float:
        if value is None:
            return np.nan
        return float(self._vocabulary[name][value]) if name in self._vocabulary else float(value)

    async def _occasion(self, ask: Ask) -> list[bool]:
        """The caps that do not depend on the offer."""
        caps = [PERSON, WEB, TOP] if PLACEMENTS[0] in ask.placements else [PERSON, WEB]
        return await self._hits([(cap, (ask.profile_id,)) for cap in caps])

    async def _fill(self, ask: Ask, decided: Decided, scores: Any, arms: Any, odds: Any) -> None:
        """Take offers from the best down, as many at once as are still wanted, until all slots are full."""
        ranked = [int(i) for i in np.argsort(-scores) if scores[i] > 0]
        slots = [placement for placement in ask.placements for _ in range(SLOTS)]
        if ranked and random.random() < EPSILON:  # noqa: S311 - exploration is no secret
            random.shuffle(ranked)
        at = 0
        while slots and at < len(ranked):
            tried = ranked[at : at + len(slots)]
            at += len(tried)
            shelf, person = self._shelf, ask.profile_id
            granted = await self._hits(
                [hit for i in tried for hit in ((OFFER, (person, shelf.ids[i])), (GROUP, (person, shelf.groups[i])))]
            )
            for i, *grants in zip(tried, granted[::2], granted[1::2], strict=True):
                if all(grants):
                    decided[slots.pop(0)].append(self._ranked(i, int(arms[i]), float(scores[i]), odds))

    async def _hits(self, wanted: Sequence[tuple[RateLimitItem, tuple[str, ...]]]) -> list[bool]:
        """Take from each of these caps what `MovingWindowRateLimiter.hit` would, by the script of `limits`.

        All in one pipeline: a call of `hit` each would cost a round trip of the client's each.
        """
        if self._sha is None:
            self._sha = await self._redis.script_load(self._script.script)
        now = time.time()
        async with self._redis.pipeline(transaction=False) as pipeline:
            for cap, key in wanted:
                prefixed = self._storage.bridge.prefixed_key(cap.key_for(*key))
                pipeline.evalsha(self._sha, 1, prefixed, now, cap.amount, cap.get_expiry(), 1)
            return [bool(granted) for granted in await pipeline.execute()]

    def _ranked(self, i: int, arm: int, score: float, odds: Any) -> dict[str, Any]:
        """An offer as it is answered."""
        if random.random() < ARM_EPSILON:  # noqa: S311 - exploration is no secret
            arm = random.randrange(len(TIMINGS) * len(TONALITIES))  # noqa: S311
        timing, tonality = divmod(arm, len(TONALITIES))
        offer = self._shelf.ids[i]
        return {
            "offer": offer,
            "channel": "web",
            "content": f"content/{offer}/web/{TONALITIES[tonality]}",
            "timing": TIMINGS[timing],
            "tonality": TONALITIES[tonality],
            "acceptance": float(odds[timing, tonality, i]),
            "value": float(self._shelf.values[i]),
            "score": score,
            "propensity": 1 - EPSILON,
        }


def _for_limits(store: str) -> str:
    """A store's URL as `limits` spells it."""
    return store.replace("unix://", "redis+unix://", 1)


def service(decider: Decider) -> FastAPI:
    """The application."""
    app = FastAPI(openapi_url=None)

    @app.post("/decide")
    async def decide(ask: Ask) -> Response:
        return Response(await decider.decide(ask), media_type="application/json")

    return app
