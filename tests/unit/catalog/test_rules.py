"""Rules are checked when they are loaded: what is right compiles, what is wrong is named at its character."""

from __future__ import annotations

from pathlib import Path

import pytest

from takt.catalog.rules import Kind, RuleCompiler, RuleError, Source, Want
from takt.catalog.rules.expressions import Arithmetic, Compare, Literal, walk
from takt.features.spec import load_spec

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"


@pytest.fixture(scope="module")
def compiler() -> RuleCompiler:
    """Rules over the features of the minimal workspace."""
    return RuleCompiler(load_spec((MINIMAL / "features.yaml").read_text()))


def _problems(compiler: RuleCompiler, text: str, want: Want = Want.CONDITION) -> list[tuple[int, str]]:
    """What is wrong with a rule, by offset."""
    with pytest.raises(RuleError) as caught:
        compiler.compile(text, want)
    return [(problem.offset, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("profile.recency_days < 3.0", {"profile.recency_days"}),
        ("profile.visits_30d in [1, -2, 0x1F]", {"profile.visits_30d"}),
        ("'garden' in profile.interests", {"profile.interests"}),
        ('"""premium""" == profile.segment', {"profile.segment"}),
        (r'profile.segment == "\x70remium"', {"profile.segment"}),
        ("profile.segment in offer.fits", {"profile.segment", "offer.fits"}),
        ("has(profile.lease_end) || size(profile.interests) > 1", {"profile.lease_end", "profile.interests"}),
        ('profile.lease_end - now < duration("90d")', {"profile.lease_end"}),
        ('now >= timestamp("2026-01-31T18:00:00+01:00")', set()),
        (
            "context.logged_in ? offer.price > 1.0 : !profile.subscriber",
            {"context.logged_in", "offer.price", "profile.subscriber"},
        ),
        ("double(profile.visits_30d) / 2.0 > profile.recency_days", {"profile.visits_30d", "profile.recency_days"}),
        ("(((((true))))) // always", set()),
        (" || ".join(["profile.subscriber"] * 150), {"profile.subscriber"}),
    ],
)
def test_right_rules_compile(compiler: RuleCompiler, text: str, features: set[str]) -> None:
    """A rule of the supported kind becomes a program that knows what it reads."""
    program = compiler.compile(text)

    assert Kind.BOOL is program.type
    assert features == {f"{source}.{name}" for source, name in program.features}


def test_reads_names_the_sections(compiler: RuleCompiler) -> None:
    """A program says which sections it depends on, and whether on time."""
    program = compiler.compile('offer.launched <= now && context.page == "home"')

    assert frozenset({Source.OFFER, Source.CONTEXT, Source.NOW}) == program.reads


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("", 0, "is empty"),
        ("x" * 4001, 0, "has 4001 characters"),
        ("(profile.subscriber", 19, "it ends too early"),
        ("profile.visits_30d = 3", 19, "did you mean `==`?"),
        ("profile.subscriber and true", 19, "did you mean `&&`?"),
        ("profile.segment == 'premium", 19, "not closed"),
        ("profile.visit_30d > 3", 8, "profile has no feature 'visit_30d'; did you mean 'visits_30d'?"),
        ("true && profile.page == 'home'", 16, "did you mean context.page?"),
        ("page == 'home'", 0, "did you mean context.page?"),
        ("customer.page == 'home'", 0, "rules read profile.NAME, context.NAME, offer.NAME and now"),
        ("profile == 1", 0, "write profile.NAME"),
        ("profile.segment == 'premuim'", 0, "profile.segment is never 'premuim'; did you mean 'premium'?"),
        ("context.page in ['home', 'x', 'y']", 0, "context.page is never 'x' or 'y'"),
        ("'knives' in profile.interests", 0, "'knives' is no flag of profile.interests"),
        ("profile.segment == offer.department", 0, "share no value"),
        ("profile.segment in profile.interests", 0, "never holds"),
        ("profile.segment == null", 19, "write has(profile.x)"),
        ("profile.segment < 'x'", 0, "`<` orders numbers and times"),
        ("profile.interests == 'garden'", 0, '`"name" in flags`'),
        ("'a' == 'b'", 0, "always the same"),
        ("'a' in ['b']", 0, "always the same"),
        ("profile.interests in ['garden']", 0, "`in` looks for one name"),
        ("profile.visits_30d in 3", 0, "`in` asks whether a value is in a list"),
        ("profile.visits_30d in [1, 2.0]", 0, "the list holds double where int is looked for; write 2"),
        ("profile.visits_30d in [1, profile.visits_30d]", 26, "a list holds constants"),
        ("[1] == [1]", 0, "does not compare lists"),
        ("profile.recency_days < 3", 0, "is double, `3` is int; write 3.0"),
        ("profile.visits_30d < 3.0", 0, "write 3"),
        ("profile.visits_30d < profile.recency_days", 0, "write double(...) around the whole number"),
        ("profile.visits_30d + 1.5 > 2.0", 0, "`+` needs two numbers of one kind"),
        ("profile.recency_days % 2.0 > 1.0", 0, "`%` needs whole numbers"),
        ("profile.visits_30d / 0 > 1", 0, "other than zero"),
        ("now + now > now", 0, "joins times with durations only"),
        ("profile.subscriber == 1", 0, "is bool, `1` is int"),
        ("profile.subscriber > false", 0, "orders numbers and times"),
        ("-profile.segment == 'x'", 1, "`-` needs a number"),
        ("!profile.visits_30d", 1, "`!` needs true or false"),
        ("profile.visits_30d ? true : false", 0, "`?` needs true or false"),
        ("true ? 1 : 2.0", 0, "one kind"),
        ("(true ? 'a' : 1) == 1", 8, "chooses between booleans, numbers or times"),
        ("profile.visits_30d", 0, "yields int; a rule must be true or false"),
        ("'text'", 0, "a rule compares it with something"),
        ("matches(profile.segment, 'x')", 0, "'matches' is no function of rules"),
        ("has(profile.segment, 1)", 0, "takes one argument, not 2"),
        ("has(1)", 4, "has() takes a feature"),
        ("size(profile.segment) > 1", 5, "size() takes a feature of flags"),
        ("int('1') > 1", 4, "int() takes a number"),
        ("duration(1) > duration('1h')", 9, "duration() takes a text in quotes"),
        ("duration('1 h') > duration('1h')", 9, "write one like 36h"),
        ("timestamp('2026-02-30T00:00:00Z') > now", 10, "day is out of range"),
        ("timestamp('2026-02-20') > now", 10, "write one like 2026-01-31T18:00:00Z"),
        ("profile.interests.exists(i, i == 'garden')", 0, "methods and macros are not supported"),
        ("profile['segment'] == 'x'", 0, "brackets behind a value are not supported"),
        ("{'a': 1} == 1", 1, "maps are not supported"),
        ("profile.segment == b'x'", 19, "leave the b away"),
        ("profile.visits_30d > 1u", 21, "write 1"),
        ("profile.visits_30d > 9007199254740992", 21, "up to 2**53 - 1"),
        (r"profile.segment == '\q'", 19, "is no escape"),
        ("!" * 100 + "true", 64, "nested more than 64 levels"),
    ],
)
def test_wrong_rules_are_named(compiler: RuleCompiler, text: str, offset: int, message: str) -> None:
    """A wrong rule is refused at the character that is wrong, with what would be right."""
    found = _problems(compiler, text)

    assert [offset] == [at for at, _ in found]
    assert message in found[0][1]


def test_every_problem_is_found(compiler: RuleCompiler) -> None:
    """One reading names all that is wrong, and nothing that only follows from it."""
    text = "profile.vists > 1 && (nothing || offer.price > 'x') ? context.page == 'hme' : size(1) > 0"

    assert [8, 22, 33, 54, 83] == [at for at, _ in _problems(compiler, text)]


def test_values_are_numbers(compiler: RuleCompiler) -> None:
    """A value may be a whole number or a decimal, and nothing else."""
    assert Kind.DOUBLE is compiler.compile("offer.price * 0.25", Want.NUMBER).type
    assert Kind.INT is compiler.compile("2 * offer.pieces", Want.NUMBER).type
    assert [(0, "yields bool; a value must be a number")] == _problems(compiler, "offer.price > 1.0", Want.NUMBER)


def test_equal_rules_are_one(compiler: RuleCompiler) -> None:
    """Spelling does not matter: equal expressions are one program, and equal parts one node."""
    first = compiler.compile("profile.visits_30d > 2 && profile.subscriber")
    again = compiler.compile("(profile.visits_30d>2)  &&  profile.subscriber // the same")
    other = compiler.compile("profile.visits_30d > 2 || profile.subscriber")

    assert first is again
    assert {id(node) for node in walk(first.root) if isinstance(node, Compare)} == {
        id(node) for node in walk(other.root) if isinstance(node, Compare)
    }


def test_decimals_are_compared_as_stored(compiler: RuleCompiler) -> None:
    """A decimal beside a feature is rounded as the feature is, so that `price <= 1.2` holds for a price of 1.2."""
    beside = compiler.compile("offer.price <= 1.2").root
    reckoned = compiler.compile("offer.price * 1.2 > 1.2").root

    assert [1.2000000476837158] == [node.value for node in walk(beside) if isinstance(node, Literal)]
    assert {1.2} == {node.value for node in walk(reckoned) if isinstance(node, Literal)}


@pytest.mark.parametrize(
    ("text", "checked"),
    [
        ("profile.visits_30d * profile.visits_30d > 1", [False]),
        ("profile.visits_30d * profile.visits_30d * size(profile.interests) > 1", [True, False]),
        ("-(profile.visits_30d + 1) - (profile.visits_30d / 2) > 1", [False, False, False]),
        ("(true ? 1 : profile.visits_30d) * 9007199254740991 > 1", [True]),
        ("int(profile.recency_days) + 1 > 1", [True]),
    ],
)
def test_overflow_is_checked_where_possible(compiler: RuleCompiler, text: str, checked: list[bool]) -> None:
    """Only arithmetic whose operands can carry it to 2**53 is checked when it is evaluated."""
    root = compiler.compile(text).root

    assert sorted(checked) == sorted(node.checked for node in walk(root) if isinstance(node, Arithmetic))
