"""What another policy would have earned, from a log with its propensities: estimates, their limits, their refusal."""
