"""An anonymous id stands for one identity and tells nothing of it."""

from __future__ import annotations

import pytest

from takt.identity import anonymous_digest, anonymous_id, is_anonymous


def test_id_follows_from_the_identity() -> None:
    """The same identity has the same id for ever: contacts are counted under it."""
    assert "anon:d71742c78692a843927d072f671c1ad6" == anonymous_id("login", "a")
    assert anonymous_id("login", "a") == anonymous_id("login", "a")


@pytest.mark.parametrize("other", [("login", "b"), ("crm", "a"), ("logina", ""), ("logi", "na"), ("", "logina")])
def test_other_identities_have_other_ids(other: tuple[str, str]) -> None:
    """Namespace and value both count, and where one ends and the other begins."""
    assert anonymous_id("login", "a") != anonymous_id(*other)


@pytest.mark.parametrize(
    ("profile_id", "expected"),
    [
        (anonymous_id("cookie", "x"), True),
        ("hh-0042", False),
        ("", False),
        ("anon:", False),
        ("anon:" + "g" * 32, False),
        ("anon:" + "a" * 31, False),
        (anonymous_id("cookie", "x") + "\n", False),
        (" " + anonymous_id("cookie", "x"), False),
    ],
)
def test_anonymous_ids_are_recognised(profile_id: str, expected: bool) -> None:
    """Only the exact form is Takt's own."""
    assert expected == is_anonymous(profile_id)


def test_digest_is_read_back() -> None:
    """The digest of the identity is in its anonymous id, and in no other id."""
    assert anonymous_id("cookie", "x") == "anon:" + anonymous_digest(anonymous_id("cookie", "x")).hex()
    with pytest.raises(ValueError, match="not an anonymous profile id"):
        anonymous_digest("hh-0042")
