"""Names beside categories and flags, resolved to codes and bits. What means nothing raises ValueError, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from takt.catalog.rules.expressions import AmongNames, Field, HasFlag, NamesFlag, SameName
from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from takt.catalog.rules.expressions import Source
    from takt.features.section import Section


class Vocabularies:
    """The vocabularies of a feature spec's categories and flags."""

    def __init__(self, sections: Mapping[Source, Section]) -> None:
        self._sections = sections

    def of(self, field: Field) -> tuple[str, ...]:
        """A feature's names, in the order of their codes."""
        return self._sections[field.source][field.name].values

    def among(self, field: Field, names: Iterable[str], *, negated: bool = False) -> AmongNames:
        """Whether a category is one of `names` (or none of them)."""
        values, chosen = self.of(field), list(names)
        unknown = [name for name in chosen if name not in values]
        if unknown:
            raise ValueError(
                f"{_shown(field)} is never {' or '.join(map(shown, unknown))}; {did_you_mean(unknown[0], values)}"
            )
        return AmongNames(field, (False, *((value in chosen) is not negated for value in values)))

    def same(self, left: Field, right: Field, *, negated: bool) -> SameName:
        """Whether two categories have the same name."""
        ours, theirs = self.of(left), self.of(right)
        if not set(ours) & set(theirs):
            raise ValueError(f"{_shown(left)} and {_shown(right)} share no value, so they are never equal")
        table = (-1, *(1 + ours.index(value) if value in ours else -1 for value in theirs))
        return SameName(left, right, table, negated)

    def flag(self, field: Field, name: str) -> HasFlag:
        """Whether a flag is set."""
        values = self.of(field)
        if name not in values:
            raise ValueError(f"{shown(name)} is no flag of {_shown(field)}; {did_you_mean(name, values)}")
        return HasFlag(field, values.index(name))

    def names_flag(self, field: Field, item: Field) -> NamesFlag:
        """Whether the flag that a category names is set."""
        flags, values = self.of(field), self.of(item)
        if not set(values) & set(flags):
            raise ValueError(f"no value of {_shown(item)} is a flag of {_shown(field)}, so this never holds")
        masks = (0, *(1 << flags.index(value) if value in flags else 0 for value in values))
        return NamesFlag(field, item, masks)


def _shown(field: Field) -> str:
    return f"{field.source}.{field.name}"
