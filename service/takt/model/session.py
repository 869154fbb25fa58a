"""ONNX Runtime, and nothing else: open a graph, name its ends, run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy.typing as npt
import onnxruntime as ort
from msgspec import Struct

from takt.errors import ModelError

Array = npt.NDArray[Any]

RUNTIME: Final[str] = ort.__version__
LEAST_RUNTIME: Final = "1.31.1"
"""Earlier versions hold the GIL while a session is created, and stall every other thread of the service."""

_FATAL: Final = 4  # errors come as exceptions; printing them as well would only clutter the log


class End(Struct, frozen=True):
    """An input or output as the graph declares it."""

    name: str
    type: str
    """In ONNX Runtime's words, `tensor(float)`."""
    shape: tuple[int | str | None, ...]
    """Fixed sizes as numbers, symbols as strings, None where nothing is said."""


class Session:
    """One loaded graph. `run` may be called from several threads at once."""

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        """Load a serialised graph. Raises `ModelError` with ONNX Runtime's reason.

        One thread by default: batches are small, and handing parts of them to a pool costs more than it saves. A pool
        that spins would burn the cores that the rest of the service needs. Loading from memory also means that weights
        in other files are refused.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = _FATAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            # There is nothing to fall back to, and trying it again would print to the standard output.
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
            self.inputs = tuple(_end(node) for node in self._session.get_inputs())
            self.outputs = tuple(_end(node) for node in self._session.get_outputs())
            self.props: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        except Exception as error:  # its exceptions share no base below Exception; names may not even be UTF-8
            raise ModelError(f"ONNX Runtime {RUNTIME} cannot load the graph: {_reason(error)}") from error

    def run(self, outputs: Sequence[str], feed: Mapping[str, Array]) -> list[Array]:
        """Arrays of the named outputs. Raises `ModelError` with ONNX Runtime's reason."""
        try:
            found: list[Array] = self._session.run(outputs, feed)
        except Exception as error:  # its exceptions share no base below Exception
            raise ModelError(f"ONNX Runtime cannot run the graph: {_reason(error)}") from error
        return found


def runtime_is_recent(version: str) -> bool:
    """Whether a version of ONNX Runtime is at least `LEAST_RUNTIME`."""
    return _numbers(version) >= _numbers(LEAST_RUNTIME)


def _numbers(version: str) -> tuple[int, ...]:
    """`1.32.0.dev5` as (1, 32, 0)."""
    out = []
    for part in version.split("+", 1)[0].split(".")[:3]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        out.append(int(digits or 0))
    return tuple(out)


def _end(node: Any) -> End:
    return End(name=node.name, type=node.type, shape=tuple(node.shape))


def _reason(error: Exception) -> str:
    """The first line of ONNX Runtime's message, cut to a bearable length."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:400]


def pad_to_two(array: Array) -> Array:
    """`array` with its only row doubled.

    With a single row ONNX Runtime multiplies vectors instead of matrices, and rounds differently; a decision must not
    depend on whether it had company.
    """
    return array.repeat(2, axis=0) if len(array) == 1 else array
