"""The server-side function library: loading it, and the commands that call it.

Where the server has no functions (before Redis 7) or does not let us load any, the same source runs as scripts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Final, Literal

from redis.exceptions import NoScriptError, ResponseError

from takt.errors import StoreError
from takt.redis.wire import Command, Wire, explained

LIBRARY: Final = "takt_v1"
NAMES: Final = (
    "takt_commit_v1",
    "takt_restore_v1",
    "takt_mark_v1",
    "takt_put_v1",
    "takt_rewrite_v1",
    "takt_claim_v1",
    "takt_settle_v1",
    "takt_allot_v1",
    "takt_give_v1",
    "takt_receive_v1",
    "takt_sweep_v1",
    "takt_expect_v1",
    "takt_seal_v1",
    "takt_absorb_v1",
    "takt_close_v1",
    "takt_forgo_v1",
    "takt_name_v1",
    "takt_announce_v1",
    "takt_follow_v1",
    "takt_advance_v1",
    "takt_cover_v1",
    "takt_put_v2",
    "takt_seal_v2",
    "takt_absorb_v2",
    "takt_close_v2",
    "takt_commit_v2",
    "takt_rewrite_v2",
)
SOURCE: Final = files("takt.redis").joinpath("functions.lua").read_text(encoding="utf-8")

_REVISION: Final = re.compile(rb"^-- revision: (\d+)$", re.MULTILINE)

Mode = Literal["auto", "functions", "scripts"]


def library(source: str = SOURCE) -> bytes:
    """Text of the library for FUNCTION LOAD."""
    registrations = "".join(f"redis.register_function('{name}', {name})\n" for name in NAMES)
    return f"#!lua name={LIBRARY}\n{source}\n{registrations}".encode()


def script(name: str, source: str = SOURCE) -> bytes:
    """Text of one function as a script for EVAL."""
    return f"{source}\nreturn {name}(KEYS, ARGV)\n".encode()


class Functions:
    """The library on one server. Thread-safe once loaded; loading again does no harm."""

    def __init__(self, wire: Wire, mode: Mode = "auto") -> None:
        self._wire = wire
        self._mode: Mode = mode
        self._digests: dict[str, bytes] | None = None

    @property
    def uses_scripts(self) -> bool:
        """Whether scripts stand in for functions."""
        return self._digests is not None

    def load(self) -> None:
        """See to it that the functions can be called. Raises `StoreError` where neither way is allowed."""
        refusal = None
        if self._mode != "scripts":
            refusal = self._load_functions()
            if refusal is None:
                self._digests = None
                return
            if self._mode == "functions":
                raise StoreError(f"{self._wire.shown}: {explained(refusal)}")
        replies = self._wire.attempt("load", [("SCRIPT", "LOAD", script(name)) for name in NAMES])
        for reply in replies:
            if isinstance(reply, ResponseError):
                also = f", and for functions {explained(refusal)}" if refusal else ""
                raise StoreError(
                    f"{self._wire.shown}: {explained(reply)}{also}; allow this user FUNCTION LOAD and FCALL, "
                    "or SCRIPT LOAD and EVALSHA"
                )
        self._digests = dict(zip(NAMES, replies, strict=True))

    def command(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Command:
        """Build the command that calls a function."""
        if self._digests is None:
            return ("FCALL", name, len(keys), *keys, *arguments)
        return ("EVALSHA", self._digests[name], len(keys), *keys, *arguments)

    @staticmethod
    def is_missing(reply: object) -> bool:
        """Whether a reply says that the server has lost the library: nothing ran, so it is safe to load and repeat."""
        if isinstance(reply, NoScriptError):
            return True
        return isinstance(reply, ResponseError) and str(reply) == "Function not found"

    def _load_functions(self) -> ResponseError | None:
        """Load the library unless the server has it in this revision or a higher one; gives what refused it."""
        wanted = library()
        (listed,) = self._wire.attempt("load", [("FUNCTION", "LIST", "LIBRARYNAME", LIBRARY, "WITHCODE")])
        if isinstance(listed, ResponseError):
            return listed
        if listed:
            present = dict(zip(listed[0][::2], listed[0][1::2], strict=True))[b"library_code"]
            if present == wanted or _revision(present) > _revision(wanted):
                return None
        (loaded,) = self._wire.attempt("load", [("FUNCTION", "LOAD", "REPLACE", wanted)])
        return loaded if isinstance(loaded, ResponseError) else None


def _revision(code: bytes) -> int:
    found = _REVISION.search(code)
    return int(found[1]) if found else 0
