"""Measurements of the service beside its floors. Absolute times belong to the machine; read ratios."""
