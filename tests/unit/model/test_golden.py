"""Golden rows come back bit for bit, and what is none is refused."""

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from takt.errors import ModelError
from takt.model.golden import Array, Golden, deviation, golden_bytes, parse_golden

ROWS, OFFERS = 3, 2


def arrays() -> dict[str, Array]:
    """Every array that golden rows need."""
    rng = np.random.default_rng(3)
    profile = rng.normal(size=(ROWS, 4)).astype(np.float32)
    profile[0, 0] = np.nan
    return {
        "profile": profile,
        "context": np.zeros((ROWS, 0), dtype=np.float32),
        "offers": rng.normal(size=(OFFERS, 1)).astype(np.float32),
        "offer_code": np.array([0, 1], dtype=np.int64),
        "acceptance": rng.random((ROWS, 1, 2, OFFERS)).astype(np.float32),
    }


def golden() -> Golden:
    """Golden rows."""
    found = arrays()
    outputs = {"acceptance": found.pop("acceptance")}
    return Golden(inputs=found, outputs=outputs)


def npz(content: dict[str, Any]) -> bytes:
    """An archive of any arrays."""
    file = io.BytesIO()
    np.savez(file, **content)
    return file.getvalue()


def test_golden_rows_come_back() -> None:
    """Values, missing ones and empty sections included, survive the way to bytes and back."""
    expected = golden()

    found = parse_golden(golden_bytes(expected))

    assert list(expected.inputs) == list(found.inputs)
    for name, array in expected.inputs.items():
        np.testing.assert_array_equal(array, found.inputs[name])
    np.testing.assert_array_equal(expected.outputs["acceptance"], found.outputs["acceptance"])


def test_equal_rows_give_equal_bytes() -> None:
    """Nothing of the archive depends on when it was written or on the order of its arrays."""
    rows = golden()
    turned = Golden(inputs=dict(reversed(rows.inputs.items())), outputs=rows.outputs)

    assert golden_bytes(rows) == golden_bytes(turned)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda a: a.pop("acceptance"), "array 'acceptance' is missing"),
        (lambda a: a.pop("context"), "array 'context' is missing"),
        (lambda a: a.update(extra=a["offers"]), "array 'extra' is unknown"),
        (lambda a: a.update(offers=a["offers"].astype(np.float64)), "array 'offers' is float64 with 2 axes, expected"),
        (lambda a: a.update(offer_code=a["offer_code"][:, None]), "array 'offer_code' is int64 with 2 axes, expected"),
        (lambda a: a.update(context=a["context"][:1]), "'context' has 1 rows and 'profile' 3"),
        (lambda a: a.update(offer_code=a["offer_code"][:1]), "'offer_code' has 1 rows and 'offers' 2"),
        (lambda a: a.update(acceptance=a["acceptance"][:2]), "'acceptance' has shape (2, 1, 2, 2); expected 3 on the"),
        (lambda a: a.update({k: a[k][:1] for k in a}), "1 rows and 1 offers; at least 2 of each are needed"),
    ],
)
def test_faulty_rows_are_named(change: Callable[[dict[str, Array]], object], expected: str) -> None:
    """Each fault names the array and what was expected."""
    content = arrays()
    change(content)

    with pytest.raises(ModelError) as caught:
        parse_golden(npz(content))

    assert str(caught.value).startswith("golden.npz: ")
    assert expected in str(caught.value)


def test_pickled_objects_are_never_read() -> None:
    """An archive could run code if its objects were unpickled."""
    with pytest.raises(ModelError, match=r"golden\.npz: cannot be read"):
        parse_golden(npz({**arrays(), "profile": np.array([{"a": 1}], dtype=object)}))


def test_an_archive_that_unpacks_to_too_much_is_refused() -> None:
    """A small file that claims megabytes is refused before it is unpacked."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("profile.npy", b"\0" * 8_000_000)

    with pytest.raises(ModelError, match="unpacks to 8000000 bytes"):
        parse_golden(file.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"garbage" * 20, b"\x93NUMPY"])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    """Any bytes give an error of ours, never another."""
    with pytest.raises(ModelError, match=r"golden\.npz: "):
        parse_golden(content)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_damage_gives_an_error_of_ours_or_none(position: int, change: int) -> None:
    """One other byte anywhere is either found, or leaves arrays of the right form."""
    content = bytearray(npz(arrays()))
    content[position % len(content)] ^= change

    with suppress(ModelError):
        assert (ROWS, 4) == parse_golden(bytes(content)).inputs["profile"].shape


def test_a_plain_array_is_no_archive() -> None:
    """One array without a name is not a set of golden rows."""
    file = io.BytesIO()
    np.save(file, np.zeros(3))

    with pytest.raises(ModelError, match="not an "):
        parse_golden(file.getvalue())


def test_deviation_is_absolute_for_small_and_relative_for_large() -> None:
    """Large values may differ by more before the tolerance is used up."""
    small = deviation(np.array([0.5], np.float32), np.array([0.5002], np.float32))
    large = deviation(np.array([1000.0], np.float32), np.array([1000.05], np.float32))

    assert small[1] > 1.0
    assert large[1] < 1.0
    assert large[0] > small[0]


def test_nan_deviates_infinitely() -> None:
    """A value that became NaN is never within tolerance."""
    assert (np.inf, np.inf) == deviation(np.array([0.5], np.float32), np.array([np.nan], np.float32))
