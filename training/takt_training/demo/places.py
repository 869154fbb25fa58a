"""Where the demo's workspace and model are: in the checkout that this package was installed from."""

from __future__ import annotations

from pathlib import Path

from takt.errors import NotFoundError

WORKSPACE = Path("examples/complete_journey")
BUNDLES = Path("models/complete-journey")


def checkout() -> Path | None:
    """The top folder of the repository: around this file, or around where one stands. None outside of one."""
    for start in (Path(__file__).resolve(), Path.cwd() / "here"):
        for folder in start.parents:
            if (folder / WORKSPACE).is_dir():
                return folder
    return None


def workspace(given: Path | None) -> Path:
    """The workspace to serve. Raises `NotFoundError` saying how to name it."""
    top = checkout()
    found = given or (top / WORKSPACE if top else None)
    if found is None or not found.is_dir():
        where = f"{found} is no directory" if found else f"{WORKSPACE} is not near here"
        raise NotFoundError(f"{where}; run takt demo in a checkout of the repository, or name one with --workspace")
    return found


def model(given: Path | None) -> Path:
    """The bundle to serve: the newest version. Raises `NotFoundError` saying how to name it."""
    if given is not None:
        return given
    top = checkout()
    versions = sorted((top / BUNDLES).glob("*/manifest.json"), key=_version) if top else []
    if not versions:
        raise NotFoundError(f"no bundle in {BUNDLES}; make one with takt train, or name one with --model")
    return versions[-1].parent


def _version(manifest: Path) -> tuple[int, ...]:
    """The semantic version in the folder's name, to sort by; a pre-release comes before everything."""
    parts = manifest.parent.name.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else (-1,)
