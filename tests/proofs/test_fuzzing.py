"""A little of the fuzzing with every run of the tests; `make fuzz` has all of it."""

from __future__ import annotations

import pytest

from tests.proofs.fuzz import prove
from tests.proofs.malforming import KINDS


@pytest.mark.timeout(300)  # kernels may have to be compiled
def test_the_service_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """Some inputs of every kind leave it serving, with nothing stuck, open or grown."""
    code = prove(60 * len(KINDS), "native", seed=2)

    assert 0 == code, capsys.readouterr().out
