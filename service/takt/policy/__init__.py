"""The contact policy: which contacts a person may still get, and when. Pure: ledgers and moments in, verdicts out."""
