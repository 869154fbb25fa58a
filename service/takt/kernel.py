"""Loops over arrays, compiled once and cached on disk.

A kernel is an ordinary Python function over numpy arrays and numbers. It is compiled by numba with `nogil`, so that the
event loop runs on while a batch is computed. The cache lies in the user's cache directory under a digest of every
kernel's source: a kernel inlines the kernels it calls, so a change in one room must not leave a stale copy in another.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_type_hints

import llvmlite.binding as llvm
import numba
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOMS: Final = ("features", "eligibility", "policy", "arbitration", "exploration", "engine", "wire", "decisionlog")
"""Packages of `takt` that hold kernels."""
NUMBERS: Final = (
    "kernel.py",
    "clock.py",
    "domain/ledger.py",
    "domain/reasons.py",
    "catalog/rules/literals.py",
    "eligibility/shelf.py",
    "engine/arrays.py",
    "features/blocks.py",
    "features/section.py",
    "policy/moments.py",
    "wire/answer.py",
    "wire/request.py",
    "wire/values.py",
    "wire/encoding/texts.py",
    "wire/encoding/told.py",
)
"""Sources of how kernels are compiled, and of the constants, layouts and tuples that they have compiled in."""


def sources() -> Iterator[bytes]:
    """The text of everything that a compiled kernel depends on."""
    here = Path(__file__).parent
    for name in NUMBERS:
        yield (here / name).read_bytes()
    for room in ROOMS:
        for file in sorted((here / room).rglob("*.py")):
            text = file.read_bytes()
            if b"@kernel" in text or b"@entry" in text:
                yield text


def cache_directory() -> Path:
    """Where compiled kernels are kept: `TAKT_KERNEL_CACHE`, else under the user's cache directory."""
    base = os.environ.get("TAKT_KERNEL_CACHE")
    root = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "takt" / "kernels"
    digest = hashlib.blake2b(digest_size=8)
    for text in sources():
        digest.update(text)
    return root / digest.hexdigest()


def is_writable(directory: Path) -> bool:
    """Whether a cache can be kept there; it is made if need be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


_directory = cache_directory()
CACHED: Final = is_writable(_directory)
"""False on a system that may not be written to: every start then compiles, for a minute or two."""
if CACHED:
    numba.config.CACHE_DIR = str(_directory)  # type: ignore[attr-defined]  # numba makes its settings as it loads

F = TypeVar("F", bound="Callable[..., object]")


class _Kept(CompileResultCacheImpl):
    """Keeps a kernel without the environments of numba's own functions in it.

    They are there for the texts of errors that such a function raises, which none does here, and each would load the
    module that it comes from: together two hundred, which only a compiler needs.
    """

    def reduce(self, cres: Any) -> Any:
        """What is kept of a compiled kernel."""
        *kept, environments = super().reduce(cres)  # type: ignore[no-untyped-call]
        ours = tuple(e for e in environments if not str(e.globals.get("__name__")).startswith("numba."))
        return (*kept, ours)


class _KeptEntry(_Kept):
    """Keeps an entry without its intermediate code as well, which is there for kernels that would call it.

    None does. Reading that code took three quarters of the time that loading a kernel takes, and megabytes.
    """

    def reduce(self, cres: Any) -> Any:
        """What is kept of a compiled entry."""
        (name, kind, (machine_code, bitcode)), *rest = super().reduce(cres)
        return ((name, kind, (machine_code, _names_alone(bitcode))), *rest)


class _Cache(FunctionCache):
    """Where a kernel is kept, from where it is loaded without the compiler."""

    _impl_class = _Kept

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is kept for a signature, or None.

        numba's own makes its compiler ready first, also where nothing is left to compile: 0.1 s.
        """
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


class _EntryCache(_Cache):
    """Where an entry is kept."""

    _impl_class = _KeptEntry


def _names_alone(bitcode: bytes) -> bytes:
    """A module that defines the same names, and nothing behind them: by these numba knows what machine code holds."""
    module = llvm.parse_bitcode(bitcode)
    functions = [f'define void @"{f.name}"() {{ unreachable }}' for f in module.functions if not f.is_declaration]
    variables = [f'@"{v.name}" = global i8 0' for v in module.global_variables if not v.is_declaration]
    alone: bytes = llvm.parse_assembly("\n".join(functions + variables)).as_bitcode()
    return alone


def _compiled(function: Callable[..., object], cache: type[_Cache]) -> Any:
    """A function as numba compiles it on its first call, unless it is kept."""
    made: Any = numba.njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)(function)  # type: ignore[call-overload]
    if CACHED:
        made._cache = cache(function)  # noqa: SLF001 - has no other way in
    return made


def kernel(function: F) -> F:
    """Compile `function` on first call; `function.py_func` stays the plain Python twin.

    A kernel allocates nothing: what it needs room for is handed to it. So its arrays are not counted by reference,
    which would cost an atomic operation for each array of each call, several times the work in it. One that is
    called from Python returns no array either: it would give away a reference that nobody counted.

    Kernels are inlined where they are called: else each call would copy every word of every array that it is handed.
    """
    made = _compiled(function, _Cache)
    typed, unliteral = made.get_call_template, cast("Callable[[types.Type], types.Type]", types.unliteral)

    def call_template(arguments: Sequence[types.Type], named: Mapping[str, types.Type]) -> object:
        """Take a constant for the number that it is: else numba compiles a kernel anew for every constant."""
        plain = {name: unliteral(kind) for name, kind in named.items()}
        return typed(tuple(map(unliteral, arguments)), plain)

    made.get_call_template = call_template
    return cast("F", made)  # numba's types do not know `_nrt`, which it uses for kernels of its own


def entry(function: F) -> F:
    """A kernel that Python calls, and no kernel does, with tuples of arrays, as its annotations say.

    numba takes 0.25 us over each named tuple that it is handed, and 0.05 over each array in it; over one that is an
    argument of its own 0.015. So tuples are taken apart on the way in, and put together in what is compiled. `compiled`
    is that, and `tuples` are the types of the tuples, on whose fields it depends.
    """
    scope: dict[str, Any] = {"__name__": function.__module__, "inner": numba.njit(inline="always")(function)}
    tuples: dict[str, type] = {}
    leaves: list[str] = []

    def rebuilt(path: str, kind: object) -> str:
        """The expression that an argument is put together by, or a part of it; its leaves are listed."""
        if isinstance(kind, type) and hasattr(kind, "_fields"):
            made = f"{kind.__name__}{len(tuples)}"  # two may be called alike
            tuples[made] = kind
            parts = [rebuilt(f"{path}.{name}", part) for name, part in get_type_hints(kind).items()]
            return f"{made}({', '.join(parts)})"
        leaves.append(path)
        return path.replace(".", "__")

    kinds = get_type_hints(function)
    kinds.pop("return", None)
    whole = ", ".join(rebuilt(name, kind) for name, kind in kinds.items())
    name, apart = function.__name__, ", ".join(leaves)
    source = (
        f"def {name}({apart.replace('.', '__')}):\n    return inner({whole})\n\n"
        f"def call({', '.join(kinds)}):\n    return compiled({apart})\n"
    )
    scope |= tuples
    exec(compile(source, function.__code__.co_filename, "exec"), scope)  # noqa: S102  what is run is written here
    call, compiled = scope["call"], _compiled(scope[name], _EntryCache)
    call.py_func, call.compiled, call.tuples = function, compiled, tuple(tuples.values())
    scope["compiled"] = compiled
    return cast("F", call)
