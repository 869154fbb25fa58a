"""Messages that teach: when a name is unknown, say which one was probably meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 64
"""Characters of an unknown name that are compared and shown; names come from outside and may be absurd."""
MOST = 8
"""Known names that are listed when none is near."""


def shown(name: object) -> str:
    """`name` quoted for a message, cut to a bearable length."""
    text = str(name)
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "...")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What would be right in place of the unknown `name`: the nearest known name, or a list of the known ones.

    Ready to be put behind a semicolon: `did you mean 'price'?`, `known are 'a', 'b'`, `none is declared`.
    """
    names = list(known)
    if not names:
        return "none is declared"
    near = difflib.get_close_matches(name[:LONGEST].lower(), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {str(near[0])!r}?"
    listed = ", ".join(repr(str(name)) for name in names[:MOST])
    return f"known are {listed}" if len(names) <= MOST else f"known are {listed} and {len(names) - MOST} more"
