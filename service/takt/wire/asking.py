"""Requests as values to the columns that the engine decides on.

Slow and obvious; `takt.wire.decoding` does the same for plain requests straight from their bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from takt.domain.request import DecideRequest, Identity
from takt.engine.asking import Asking
from takt.engine.force import Force
from takt.engine.validation import violations
from takt.errors import InvalidRequestError, TaktError
from takt.features.record import pack_section
from takt.v1 import decision_pb2, types_pb2
from takt.wire.request import Budget, decide_request, request_message


def identity_messages(identities: Sequence[Identity]) -> list[types_pb2.Identity]:
    """Identities as messages."""
    return [types_pb2.Identity(namespace=i.namespace, value=i.value) for i in identities]


def digest(request: DecideRequest) -> bytes:
    """16 bytes that two requests share exactly if they ask the same. Budgets and dry runs do not count."""
    message = request_message(replace(request, request_id="", dry_run=False))
    del message.identities[:]
    message.identities.extend(identity_messages(request.identities))
    return hashlib.blake2b(message.SerializeToString(deterministic=True), digest_size=16).digest()


def asking_of(force: Force, requests: Sequence[DecideRequest]) -> Asking:
    """Requests as columns of a catalog, with an error for each that it does not allow."""
    catalog = force.catalog
    errors: dict[int, TaktError] = {}
    identities: dict[int, tuple[Identity, ...]] = {}
    first_ask, placement, slots = [0], [], []
    for i, request in enumerate(requests):
        found = violations(request, catalog, force.placement_index, force.timing_index)
        if found:
            errors[i] = InvalidRequestError(tuple(found))
        else:
            for ask in request.placements:
                p = force.placement_index[ask.placement]
                most = catalog.placements[p].max_offers
                placement.append(p)
                slots.append(min(ask.max_offers or most, most))
            if request.identities:
                identities[i] = request.identities
        first_ask.append(len(placement))
    return Asking(
        force=force,
        request_ids=[request.request_id for request in requests],
        profile_ids=[request.profile_id for request in requests],
        identities=identities,
        messages=[request_message(request).SerializeToString(deterministic=True) for request in requests],
        digests=[digest(request) for request in requests],
        deadlines_us=[request.deadline_us for request in requests],
        dry_run=np.array([request.dry_run for request in requests], np.bool_),
        explain=np.array([int(request.explain) for request in requests], np.int64),
        distinct=np.array([not request.allow_duplicates for request in requests], np.bool_),
        first_ask=np.array(first_ask, np.int64),
        placement=np.array(placement, np.int64),
        slots=np.array(slots, np.int64),
        timings=np.array(
            [
                [not request.timings or timing.id in request.timings for timing in catalog.timings]
                for request in requests
            ],
            np.bool_,
        ).reshape(len(requests), len(catalog.timings)),
        contexts=pack_section(
            catalog.spec.context, [{} if i in errors else request.context for i, request in enumerate(requests)]
        ),
        errors=errors,
    )


def requests_of(asking: Asking, indices: Sequence[int]) -> list[DecideRequest]:
    """Some requests of an asking as values again, to be read against another catalog."""
    found = []
    for i in indices:
        message = decision_pb2.DecideRequest.FromString(asking.messages[i])
        names = asking.identities.get(i, ())
        del message.identities[:]
        message.identities.extend(identity_messages(names))
        request = decide_request(message, Budget(0, 1))
        found.append(replace(request, deadline_us=asking.deadlines_us[i]))
    return found
