"""The report of a training run or an evaluation: one page for people, one JSON file for scripts."""
