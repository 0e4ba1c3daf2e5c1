"""Measurements: `python -m bench.quality` and `python -m bench.speed`. Never part of the tests."""
