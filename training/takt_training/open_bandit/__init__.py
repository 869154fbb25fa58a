"""Open Bandit: real clicks with true propensities, to check that estimates from one policy's log hold for another."""
