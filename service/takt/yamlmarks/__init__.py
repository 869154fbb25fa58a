"""YAML with positions: every value knows its file, line and key path, so that every error can name them.

Reading never stops at the first error: `load` and the typed accessors of `Node` report into `Problems` and go on with a
stand-in, and the caller raises once at the end. The dialect is the core schema of YAML 1.2: only `true` and `false` are
booleans (`no` is a country), `18:00` is text, dates are text. Aliases and tags of one's own are refused: a workspace
comes from outside, and an alias can blow up a small file.
"""

from takt.yamlmarks.node import Node, Problems
from takt.yamlmarks.reading import load

__all__ = ["Node", "Problems", "load"]
