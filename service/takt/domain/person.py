"""What a profile says about a person beyond features."""

from __future__ import annotations

from enum import IntEnum


class Address(IntEnum):
    """Form of address: what a treatment uses, and what a person wants. The numbers are stored and never change."""

    NEUTRAL = 0
    """A treatment that addresses nobody directly; a person without a stated wish, who is addressed formally."""
    FORMAL = 1
    INFORMAL = 2


class RecordState(IntEnum):
    """Whether a profile record takes part in decisions. The numbers are stored and never change."""

    OPEN = 0
