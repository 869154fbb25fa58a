"""A registered layout is read exactly as it was written, or refused."""

import pytest

from takt.errors import RecordError
from takt.features.layout import layout_fingerprint, layout_json, parse_layout
from takt.features.spec import Feature, FeatureType, Person, make_spec

SPEC = make_spec(
    person=Person(("UTC",), ("de",), ("web",)),
    profile=[
        Feature("spend", FeatureType.FLOAT, low=0.0, default=1.0),
        Feature("segment", FeatureType.CATEGORY, values=("a", "ä")),
        Feature("seen", FeatureType.TIMESTAMP),
    ],
)
TEXT = (
    '{"format":1,"person":{"consents":["web"],"locales":["de"],"time_zones":["UTC"]},'
    '"profile":[["seen","timestamp"],["spend","float"],["segment","category",["a","\\u00e4"]]]}'
)


def test_the_text_says_what_is_where() -> None:
    """The format is fixed: stored layouts must stay readable for as long as their records live."""
    assert TEXT == layout_json(SPEC)
    assert layout_fingerprint(TEXT) == SPEC.layout_fingerprint


def test_the_fingerprint_never_changes() -> None:
    """Records in stores carry this number."""
    assert 0x536D56FF20B7E701 == layout_fingerprint("{}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        TEXT[:-1],
        TEXT.replace('"format":1', '"format":2'),
        TEXT.replace('"float"', '"decimal"'),
        TEXT.replace('["seen","timestamp"]', '["seen"]'),
        TEXT.replace('["seen","timestamp"],["spend","float"]', '["spend","float"],["seen","timestamp"]'),
        TEXT.replace('"spend"', '"segment"'),
        TEXT.replace('["web"]', '"web"'),
        TEXT.replace('["web"]', "[1]"),
        "[" * 100_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """A damaged text raises one kind of error."""
    with pytest.raises(RecordError, match="registered layout"):
        parse_layout(text)
