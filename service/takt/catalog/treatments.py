"""How offers are shown: treatments, and templates that make many of them."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from takt.catalog.snapshot import Treatment
from takt.domain.person import Address
from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from takt.catalog.delivery import Delivery
    from takt.catalog.register import Register
    from takt.catalog.selector import Selectors
    from takt.features.spec import FeatureSpec
    from takt.yamlmarks import Node

ADDRESSES: Final = {"neutral": Address.NEUTRAL, "formal": Address.FORMAL, "informal": Address.INFORMAL}
PLACEHOLDERS: Final = ("offer", "channel", "tonality", "address", "locale")
DEFAULT_ID: Final = "{offer}-{channel}-{tonality}-{address}-{locale}"
MOST: Final = 1_000_000
"""Treatments of a catalog."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class Spot(Struct, frozen=True):
    """What there is at most one treatment for."""

    offer: int
    channel: int
    tonality: int
    address: Address
    locale: str


def language(locale: str) -> str:
    """The language of a locale: `de` of `de-AT`."""
    return locale.partition("-")[0]


class Treatments:
    """Collects treatments. An offer's own come first; a template adds only where there is none yet."""

    def __init__(self, delivery: Delivery, offers: Register, spec: FeatureSpec | None, default_locale: str) -> None:
        """`delivery` and `offers` are declared already."""
        self._delivery = delivery
        self._offers = offers
        self._default = default_locale
        self._locales = dict.fromkeys((*(() if spec is None else spec.person.locales), default_locale))
        self._check_locales = spec is not None
        self._spots: dict[Spot, tuple[str, str]] = {}
        self._ids: dict[str, Node] = {}

    def all(self) -> tuple[Treatment, ...]:
        """Everything collected."""
        return tuple(
            Treatment(name, spot.offer, spot.channel, spot.tonality, spot.address, spot.locale, content)
            for spot, (name, content) in self._spots.items()
        )

    def add(self, offer: int, node: Node) -> None:
        """One treatment of an offer."""
        if not node.only("id", "channel", "tonality", "address", "locale", "content"):
            return
        name = node.required_text("id")
        channel = self._delivery.channel_names.index(node.required("channel", "a channel's id"))
        tonality = self._delivery.tonality_names.index(node.required("tonality", "a tonality"))
        address = ADDRESSES[node.choice("address", "neutral", known=tuple(ADDRESSES), what="address")]
        locale = self._locale(node.get("locale"))
        content = node.required_text("content")
        if name is None or channel is None or tonality is None or content is None:
            return
        spot = Spot(offer, channel, tonality, address, locale)
        if spot in self._spots:
            other = self._spots[spot][0]
            node.fail(f"is for the same channel, tonality, address and locale as treatment {other!r}; keep one")
        else:
            self._put(spot, name, content, node)

    def add_template(self, node: Node, selectors: Selectors) -> None:
        """One treatment for every offer, channel, tonality, address and locale listed."""
        if not node.only("id", "content", "offers", "channels", "tonalities", "addresses", "locales"):
            return
        name = node.text("id", DEFAULT_ID)
        content = node.required_text("content")
        given = node.required("channels", "a list of channels")
        if given is not None and given.value == []:
            given.fail("is empty; list at least one channel")
        channels = self._delivery.channel_names.indices(node.list_at("channels"))
        tonalities = self._delivery.tonality_names.indices(node.list_at("tonalities"))
        forms = [element.as_choice(tuple(ADDRESSES), "address") for element in node.list_at("addresses")]
        addresses = [ADDRESSES[form] for form in forms if form is not None]
        locales = [self._locale(element) for element in node.list_at("locales")]
        offers = np.flatnonzero(selectors.mask(node)).tolist()
        if content is None or not all(self._is_pattern(node, key) for key in ("id", "content")):
            return
        axes = (
            offers,
            channels,
            tonalities or range(len(self._delivery.tonality_names)),
            addresses or [Address.NEUTRAL],
            locales or [self._default],
        )
        if len(self._spots) + np.prod([len(axis) for axis in axes], dtype=np.float64) > MOST:
            node.fail(f"makes too many treatments; a catalog has at most {MOST}")
            return
        for spot in (Spot(*cell) for cell in product(*axes)):
            if spot not in self._spots and not self._put(spot, self._fill(name, spot), self._fill(content, spot), node):
                return

    def _is_pattern(self, node: Node, key: str) -> bool:
        """Whether every placeholder under `key` is known; reports those that are not."""
        unknown = [word for word in _PLACEHOLDER.findall(node.text(key, "")) if word not in PLACEHOLDERS]
        for word in unknown:
            node.fail_at(key, f"{{{word}}} stands for nothing; {did_you_mean(word, PLACEHOLDERS)}")
        return not unknown

    def _fill(self, pattern: str, spot: Spot) -> str:
        """A pattern with its placeholders replaced."""
        names = {
            "offer": self._offers.name(spot.offer),
            "channel": self._delivery.channel_names.name(spot.channel),
            "tonality": self._delivery.tonality_names.name(spot.tonality),
            "address": spot.address.name.lower(),
            "locale": spot.locale,
        }
        return _PLACEHOLDER.sub(lambda match: names[match[1]], pattern)

    def _put(self, spot: Spot, name: str, content: str, node: Node) -> bool:
        """Keep a treatment, unless its id is taken, which is reported."""
        if name in self._ids:
            first = self._ids[name]
            where = "here" if first is node else f"in {first.filename} line {first.line}"
            node.fail_at("id", f"treatment {shown(name)} is declared twice, first {where}; make the id tell them apart")
            return False
        self._ids[name] = node
        self._spots[spot] = (name, content)
        return True

    def _locale(self, node: Node | None) -> str:
        """A locale that some person may have; the default where none is given or it is wrong."""
        locale = None if node is None else node.as_text()
        if node is None or locale is None:
            return self._default
        if self._check_locales and language(locale) not in {language(known) for known in self._locales}:
            hint = did_you_mean(locale, self._locales)
            node.fail(f"nobody has the locale {shown(locale)} (features.yaml person.locales); {hint}")
        return locale
