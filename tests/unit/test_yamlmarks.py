"""YAML is read with positions, in a narrow dialect, and never stops at the first mistake."""

import pytest

from takt.errors import WorkspaceError
from takt.yamlmarks import Node, Problems, load


def found(node: Node) -> list[str]:
    """Everything reported so far, as `field: message`."""
    return [f"{v.field}: {v.message}" for v in node.problems.found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("a: no", {"a": "no"}),
        ("no: on", {"no": "on"}),
        ("a: true", {"a": True}),
        ("a: FALSE", {"a": False}),
        ("a: 18:00", {"a": "18:00"}),
        ("a: 2017-01-01T00:00:00Z", {"a": "2017-01-01T00:00:00Z"}),
        ("a: 12", {"a": 12}),
        ("a: -3", {"a": -3}),
        ("a: 012", {"a": 12.0}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: .5", {"a": 0.5}),
        ("a: .nan", {"a": ".nan"}),
        ("a: '12'", {"a": "12"}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: [x, {b: 1}]", {"a": ["x", {"b": 1}]}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_values_are_those_of_the_core_schema(text: str, expected: object) -> None:
    """Only what looks like a number, a truth or null is one; all else is text."""
    node = load(text, "x.yaml")

    assert expected == node.value
    assert [] == found(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml:3: a: the key is given twice, first on line 1; keep one"),
        ("a:\n- {b: 1,\n   b: 2}", "x.yaml:3: a[0].b: the key is given twice, first on line 2; keep one"),
        ("a: 1\n2: 3", "x.yaml:2: a key must be text; put it in quotes"),
        ("[a]: 3", "x.yaml:1: a key must be text; put it in quotes"),
        ("a: &x [1]\nb: *x", "x.yaml:1: b: aliases are not read; write the value out"),
        ("a: &x [*x]", "x.yaml:1: a[0]: aliases are not read; write the value out"),
        (
            "a: !!int 1x",
            "x.yaml:1: a: tag 'tag:yaml.org,2002:int' is not read; write plain text, a number, true or false",
        ),
        ("a: !own 1", "x.yaml:1: a: tag '!own' is not read; write plain text, a number, true or false"),
    ],
)
def test_what_would_mislead_is_reported(text: str, expected: str) -> None:
    """Duplicate keys, keys that are not text, aliases and tags are reported with their place."""
    assert [expected] == found(load(text, "x.yaml"))


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "a: \x00", "- 1\n---\n- 2", "[" * 5_000, "\t- x"])
def test_what_is_no_yaml_is_refused(text: str) -> None:
    """A text that cannot be read at all raises at once, with file and line."""
    with pytest.raises(WorkspaceError, match=r"x\.yaml:\d+: not readable as YAML|nested too deeply"):
        load(text, "x.yaml")


def test_nesting_has_a_bound() -> None:
    """A workspace needs few levels, and reading must not run out of stack."""
    node = load("[" * 100 + "]" * 100, "x.yaml")

    assert 1 == len(found(node))
    assert found(node)[0].endswith("nested too deeply; at most 32 levels are read")


def test_earlier_problems_are_kept() -> None:
    """Several files report into one list, and a file that is no YAML loses nothing of it."""
    problems = Problems()
    load("a: 1\na: 2", "x.yaml", problems)

    with pytest.raises(WorkspaceError) as caught:
        load("a: [", "y.yaml", problems)

    assert ["x.yaml:2: a", "y.yaml:2"] == [v.field for v in caught.value.violations]


def test_problems_are_raised_together() -> None:
    """Nothing is raised while nothing is wrong, and everything at once when something is."""
    node = load("a: 1\nb: 2", "x.yaml")
    node.problems.raise_any()
    node.only("c")

    with pytest.raises(WorkspaceError) as caught:
        node.problems.raise_any()

    assert 2 == len(caught.value.violations)


def test_typed_access_gives_the_value_or_a_stand_in() -> None:
    """What is right is returned, what is missing or null gives the default without a report."""
    node = load("{t: x, i: 3, f: 2, b: true, c: red, n: [p, q], m: 1970-01-01T00:00:01+00:00, z: null}", "x.yaml")

    assert ("x", 3, 2.0, True, "red", ("p", "q"), 1_000_000) == (
        node.text("t", ""),
        node.integer("i", 0, low=1, high=3),
        node.number("f", None),
        node.boolean("b", default=False),
        node.choice("c", None, known=("red", "green")),
        node.names("n"),
        node.moment("m", None),
    )
    assert ("?", 7, (), None) == (node.text("z", "?"), node.integer("y", 7), node.names("y"), node.get("z"))
    assert [] == found(node)


@pytest.mark.parametrize(
    ("value", "read", "expected"),
    [
        ("3", "text", "is 3; text is needed"),
        ("''", "text", "is ''; text that is not empty is needed"),
        ("x", "integer", "is 'x'; a whole number is needed"),
        ("true", "integer", "is true; a whole number is needed"),
        ("1.5", "integer", "is 1.5; a whole number is needed"),
        ("true", "number", "is true; a number is needed"),
        ("1e999", "number", "is inf; a number is needed"),
        ("9" * 400, "number", "is inf; a number is needed"),
        ("1", "boolean", "is 1; true or false is needed"),
        ("[]", "text", "is a list; text is needed"),
        ("{}", "number", "is a mapping; a number is needed"),
        ("2017-01-01", "moment", "is '2017-01-01'; a moment with its offset, like 2017-10-01T00:00:00Z, is needed"),
        ("3", "moment", "is 3; a moment with its offset, like 2017-10-01T00:00:00Z, is needed"),
    ],
)
def test_a_wrong_value_is_reported_and_replaced(value: str, read: str, expected: str) -> None:
    """The default stands in, and the report names the place and what is needed."""
    node = load(f"k:\n  a: {value}", "x.yaml").get("k")
    assert node is not None

    assert getattr(node, read)("a", default="stand-in") == "stand-in"
    assert [f"x.yaml:2: k.a: {expected}"] == found(node)


def test_bounds_choices_and_lists_are_checked() -> None:
    """Each report says what would be right."""
    node = load("i: 9\nj: 0\nf: 2.5\nc: rad\nn: [x, 1]\nl: x\nm: 3", "x.yaml")

    assert node.integer("i", None, low=0, high=5) is None
    assert node.integer("j", None, low=1) is None
    assert node.number("f", None, high=1.0) is None
    assert node.choice("c", None, known=("red", "green"), what="colour") is None
    assert ("x",) == node.names("n")
    assert [] == node.list_at("l")
    assert (child := node.get("m")) is not None
    assert not child.only("a")
    assert node.required("r", "a list") is None
    assert node.required_text("l") == "x"
    assert [
        "x.yaml:1: i: is 9; a whole number from 0 to 5 is needed",
        "x.yaml:2: j: is 0; a whole number of at least 1 is needed",
        "x.yaml:3: f: is 2.5; a number of at most 1.0 is needed",
        "x.yaml:4: c: colour 'rad' is unknown; did you mean 'red'?",
        "x.yaml:5: n[1]: is 1; text is needed",
        "x.yaml:6: l: is 'x'; a list is needed",
        "x.yaml:7: m: is 3; a mapping of keys to values is needed",
        "x.yaml:1: r: is missing; a list is needed",
    ] == found(node)


@pytest.mark.parametrize(
    "text",
    [
        "r: profile.a == X",
        "r:    'profile.a == X'",
        "r: 'it''s ''quoted'' X'",
        'r: "a \\"quoted\\" \\u00e4 \\x41 X"',
        "r: |\n  profile.a == 1\n    && profile.b == X\n",
        "r: |\n\n    profile.a\n      && X\n",
        "\ufeffr: [1, {s: 'a X'}]",
    ],
)
def test_a_place_within_a_text_is_found(text: str) -> None:
    """An error inside a rule is shown where it stands in the file."""
    node = load(text, "x.yaml").get("r")
    assert node is not None
    rule = node.elements()[1].get("s") if isinstance(node.value, list) else node
    assert rule is not None

    line, column = rule.position(rule.value.index("X"))

    assert "X" == text.removeprefix("\ufeff").split("\n")[line - 1][column - 1]


def test_a_place_in_folded_text_is_its_beginning() -> None:
    """Where lines are joined, the nearest that can be said is where the value begins."""
    node = load("r: >\n  a\n  b X\n", "x.yaml").get("r")
    assert node is not None

    assert (1, 4) == node.position(4)
