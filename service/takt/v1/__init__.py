"""The public contract, generated from `proto/takt/v1` by `make proto`. Imported at the edges only."""
