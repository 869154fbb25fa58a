"""Who somebody is who has not said so: the anonymous profile that stands for a single identity.

Unknown people are decided for, and capped, under a profile id derived from the identity they came with. The raw value
of an identity (a cookie, a login) never becomes part of a profile id.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_PREFIX: Final = "anon:"
_ANONYMOUS: Final = re.compile(_PREFIX + "[0-9a-f]{32}")


def anonymous_id(namespace: str, value: str) -> str:
    """Profile id of whoever is known only as `value` in `namespace`: `anon:` and 16 bytes of BLAKE2b in hex.

    The same identity has the same id everywhere and for ever, so that nobody has to write it down.
    """
    # the length keeps ("a", "bc") and ("ab", "c") apart
    named = f"{len(namespace)}:{namespace}{value}".encode()
    return _PREFIX + hashlib.blake2b(named, digest_size=16, person=b"takt-identity").hexdigest()


def is_anonymous(profile_id: str) -> bool:
    """Whether an id has the form of `anonymous_id`. Such ids are Takt's own: nobody else may give them to a person."""
    return _ANONYMOUS.fullmatch(profile_id) is not None


def anonymous_digest(profile_id: str) -> bytes:
    """Give the 16 bytes of identity digest in an anonymous id. Raises `ValueError` if it is not anonymous."""
    if not is_anonymous(profile_id):
        raise ValueError("not an anonymous profile id; expected what anonymous_id() returns")
    return bytes.fromhex(profile_id.removeprefix(_PREFIX))
