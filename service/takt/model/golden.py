"""Golden rows: inputs with the outputs that the trainer got, to recognise the same model elsewhere."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.errors import ModelError

Array = npt.NDArray[Any]

INPUTS = ("profile", "context", "offers", "offer_code")
OUTPUTS = ("acceptance", "baseline", "value", "reaction", "uncertainty")

WHERE: Final = "golden.npz"
MAX_BYTES: Final = 4 * 1024 * 1024
ABSOLUTE, RELATIVE = 1e-4, 1e-4
"""Another version or processor may round differently; |difference| <= ABSOLUTE + RELATIVE x |expected|."""


class Golden(Struct, frozen=True):
    """R rows and O offers with their outputs.

    Inputs are `profile` float32 [R, P], `context` float32 [R, C], `offers` float32 [O, G] and `offer_code` int64 [O];
    outputs float32 [R, T, N, O], any axis but the first may be 1.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def golden_bytes(golden: Golden) -> bytes:
    """The `.npz` of golden rows; equal rows give equal bytes (numpy stamps every member with 1980-01-01)."""
    arrays = {name: np.ascontiguousarray(array) for name, array in {**golden.inputs, **golden.outputs}.items()}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **{name: arrays[name] for name in sorted(arrays)})
    return file.getvalue()


def parse_golden(data: bytes) -> Golden:
    """Read an `.npz` of golden rows.

    Raises `ModelError` naming the array that is missing, unknown, of another type or of a shape that does not fit.
    """
    arrays = _arrays(data)
    faults = [f"array {name!r} is missing" for name in (*INPUTS, "acceptance") if name not in arrays]
    known = (*INPUTS, *OUTPUTS)
    faults += [f"array {name!r} is unknown; expected {', '.join(known)}" for name in arrays if name not in known]
    for name, array in arrays.items():
        dtype, ndim = _form(name)
        if array.dtype != dtype or array.ndim != ndim:
            faults.append(f"array {name!r} is {array.dtype} with {array.ndim} axes, expected {dtype} with {ndim}")
    if not faults:
        faults = _sizes(arrays)
    if faults:
        raise ModelError(f"{WHERE}: " + "; ".join(faults))
    return Golden(
        inputs={name: arrays[name] for name in INPUTS},
        outputs={name: arrays[name] for name in OUTPUTS if name in arrays},
    )


def deviation(expected: Array, actual: Array) -> tuple[float, float]:
    """Largest absolute difference of two arrays of one shape, and the largest as a multiple of what is tolerated."""
    expected64, actual64 = expected.astype(np.float64), actual.astype(np.float64)
    difference = np.abs(expected64 - actual64)
    difference = np.where(np.isnan(difference), np.inf, difference)
    return float(difference.max(initial=0.0)), float(
        (difference / (ABSOLUTE + RELATIVE * np.abs(expected64))).max(initial=0.0)
    )


def _arrays(data: bytes) -> dict[str, Array]:
    if not data.startswith(b"PK"):
        raise ModelError(f"{WHERE}: not an .npz archive")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            _refuse_bombs(file)
            return {name: file[name] for name in file.files}
    except ModelError:
        raise
    except Exception as error:  # a broken archive fails in zip, zlib, numpy or the parser of an array's header
        raise ModelError(f"{WHERE}: cannot be read as an .npz archive of plain arrays: {error}") from error


def _refuse_bombs(file: np.lib.npyio.NpzFile) -> None:
    """A few compressed kilobytes may claim gigabytes; the archive's own directory tells before anything is unpacked."""
    unpacked = sum(member.file_size for member in file.zip.infolist()) if file.zip is not None else 0
    if unpacked > MAX_BYTES:
        raise ModelError(f"{WHERE}: unpacks to {unpacked} bytes; at most {MAX_BYTES} are allowed")


def _form(name: str) -> tuple[np.dtype[Any], int]:
    """Type and number of axes of an array of the archive."""
    if name == "offer_code":
        return np.dtype(np.int64), 1
    return np.dtype(np.float32), 4 if name in OUTPUTS else 2


def _sizes(arrays: Mapping[str, Array]) -> list[str]:
    rows, offers = len(arrays["profile"]), len(arrays["offers"])
    faults = []
    if rows < 2 or offers < 2:
        faults.append(f"{rows} rows and {offers} offers; at least 2 of each are needed")
    if len(arrays["context"]) != rows:
        faults.append(f"'context' has {len(arrays['context'])} rows and 'profile' {rows}")
    if len(arrays["offer_code"]) != offers:
        faults.append(f"'offer_code' has {len(arrays['offer_code'])} rows and 'offers' {offers}")
    faults += [
        f"{name!r} has shape {arrays[name].shape}; expected {rows} on the first axis and 1 or {offers} on the last"
        for name in OUTPUTS
        if name in arrays and (arrays[name].shape[0] != rows or arrays[name].shape[3] not in {1, offers})
    ]
    return faults
