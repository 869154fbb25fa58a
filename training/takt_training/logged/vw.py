"""The log as VW DSJSON: one line per draw, for `vw --dsjson` with `--cb_adf` or `--cb_explore_adf`.

Actions are silence, first, and the offers that the draw was among, each with its attributes. The label's probability
is that of the offer or silence, given the picks before it; the arm (timing, tonality) was drawn after that and is left
out. `_label_cost` is minus the reward, `_label_Action` and `a` count from 1, `_labelIndex` from 0. `a` and `p` name
what was drawn alone: the log keeps no probabilities of what was not. Draws that nobody saw, or of which nobody knows,
have `_skipLearn`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from takt.features.record import put_column
from takt_training.logged.dataset import NONE, Logged
from takt_training.logged.plain import plain

SILENCE: Final = "silence"


def lines(logged: Logged, tell: Callable[[int], None] = lambda slots: None) -> Iterator[str]:  # noqa: ARG005
    """One JSON text per slot, in order, without an end of line. `tell` is told how many are made."""
    slots, decisions, spec = logged.slots, logged.decisions, logged.spec
    offers, placements, channels = slots.offer.names, slots.placement.texts(), slots.channel.texts()
    catalogs = decisions.catalog.texts()
    learn = logged.example
    about = _Attributes(logged)
    channel_codes = spec.context.places["channel"].codes if "channel" in spec.context else {}
    for i in range(len(slots)):
        d = int(slots.decision[i])
        time_us = int(decisions.time_us[d])
        context = decisions.context[d : d + 1].copy()
        put_column(spec.context, context, "channel", channel_codes.get(channels[i], 0))
        actions = [NONE, *slots.candidates.of(i).tolist()]
        drawn = actions.index(int(slots.offer.codes[i]))
        probability = float(slots.offer_propensity[i])
        line: dict[str, Any] = {
            "_label_cost": -float(slots.reward[i]),
            "_label_probability": probability,
            "_label_Action": drawn + 1,
            "_labelIndex": drawn,
        }
        if not learn[i]:
            line["_skipLearn"] = True
        line |= {
            "Timestamp": f"{np.datetime64(time_us, 'us')}Z",
            "Version": "1",
            "EventId": f"{decisions.id[d].decode()}/{placements[i]}/{slots.slot[i]}",
            "a": [drawn + 1],
            "c": {
                "Profile": plain(spec.profile, decisions.profile[d : d + 1], time_us),
                "Context": plain(spec.context, context, time_us),
                "Slot": {"placement": placements[i], "channel": channels[i], "slot": int(slots.slot[i])},
                "_multi": [
                    {"Offer": {"id": SILENCE if o == NONE else offers[o], **about.of(catalogs[d], offers, o, time_us)}}
                    for o in actions
                ],
            },
            "p": [probability],
            "VWState": {"m": str(decisions.model.names[decisions.model.codes[d]])},
        }
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        tell(i + 1)


class _Attributes:
    """What each offer was like under each catalog, as plain values."""

    def __init__(self, logged: Logged) -> None:
        self._logged = logged
        self._made: dict[tuple[str, int], dict[str, Any]] = {}

    def of(self, catalog: str, names: tuple[str, ...], code: int, time_us: int) -> dict[str, Any]:
        """Attributes that do not change with time are made once."""
        if code == NONE:
            return {}
        made = self._made.get((catalog, code))
        if made is None:
            offers = self._logged.offers[catalog]
            at = offers.ids.index(names[code])
            made = plain(offers.section, offers.attributes[at : at + 1], time_us)
            self._made[catalog, code] = made
        return made
