"""Which offers something is about: `offers: {tags: [...], groups: [...], ids: [...]}`, any of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.catalog.register import Register
    from takt.catalog.snapshot import Bools
    from takt.yamlmarks import Node


class Selectors:
    """Turns selectors into masks over the offers."""

    def __init__(self, offers: Register, groups: Register) -> None:
        """`offers` and `groups` as declared; `add` says what the offers carry."""
        self._offers = offers
        self._groups = groups
        self._tags: dict[str, list[int]] = {}
        self._members: dict[int, list[int]] = {}

    def add(self, offer: int, tags: Sequence[str], group: int) -> None:
        """Note what an offer carries; `group` is -1 for none."""
        for tag in tags:
            self._tags.setdefault(tag, []).append(offer)
        self._members.setdefault(group, []).append(offer)

    def members(self, group: int) -> list[int]:
        """Offers of a group."""
        return self._members.get(group, [])

    def mask(self, node: Node, key: str = "offers") -> Bools:
        """Bool [O]: the offers that the selector under `key` is about; all where there is none."""
        selector = node.get(key)
        if selector is None:
            return np.ones(len(self._offers), np.bool_)
        chosen: list[int] = []
        if selector.only("tags", "groups", "ids"):
            for element in selector.list_at("tags"):
                chosen += self._with_tag(element)
            for group in self._groups.indices(selector.list_at("groups")):
                chosen += self._members.get(group, [])
            chosen += self._offers.indices(selector.list_at("ids"))
            if not any((child := selector.get(kind)) and child.value for kind in ("tags", "groups", "ids")):
                selector.fail("selects nothing; give tags, groups or ids, or leave the key out for all offers")
        mask = np.zeros(len(self._offers), np.bool_)
        mask[chosen] = True
        return mask

    def _with_tag(self, element: Node) -> list[int]:
        """Offers with the tag that a node names; reports when there are none."""
        tag = element.as_text()
        if tag is None:
            return []
        if tag not in self._tags:
            element.fail(f"no offer has the tag {shown(tag)}; {did_you_mean(tag, self._tags)}")
        return self._tags.get(tag, [])
