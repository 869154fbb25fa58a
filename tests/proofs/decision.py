"""Checks what Takt promises about a decision, from outside: real processes, real gRPC, the real store.

    python -m tests.proofs.decision [--quick]

Prints what it does as it goes, and as its last line one JSON object of figures with the bar beside each. Ends with 1
when one is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.proofs import answering, capping, failing
from tests.proofs.callers import Caller
from tests.proofs.figures import SHOWN, Figures
from tests.proofs.grounds import grounds


def main() -> int:
    """Run all checks; the exit code."""
    parser = argparse.ArgumentParser(
        prog="prove-decision", description="Check a running service from outside, over gRPC."
    )
    parser.add_argument("--quick", action="store_true", help="fewer households and rounds, half a minute")
    quick = parser.parse_args().quick
    # forks of a process that speaks gRPC would otherwise be warned about; the children are other programs
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    figures = Figures()
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="takt-proof-") as directory,
        grounds(Path(directory), figures, quick=quick) as (on, service),
    ):
        caller = Caller(service.public.address)
        with on.service(redis_url=on.redis_url) as second:
            answering.prove(on, caller)
            capping.prove(on, caller, second)
        failing.wrong_requests(on, caller)
        failing.hurry(on, caller)
        failing.store_stopped(on, caller)
        caller.close()
        failing.restarted(on, service)
    figures.check("seconds", round(time.monotonic() - begun, 1), SHOWN)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
