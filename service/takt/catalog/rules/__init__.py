"""Rules in CEL: text to typed, checked programs.

A rule reads `profile.NAME`, `context.NAME`, `offer.NAME` and `now`. It is parsed by cel-python's grammar, checked
against the feature spec when the catalog is loaded, and evaluated by `takt.eligibility` for whole batches.
"""

from takt.catalog.rules.expressions import Expression, Kind, Source
from takt.catalog.rules.program import Program, RuleCompiler, RuleError, Want

__all__ = ["Expression", "Kind", "Program", "RuleCompiler", "RuleError", "Source", "Want"]
