"""`takt simulate`: customers whose truth is known, decided for by the real service, round after round."""
