"""Benchmarks: of this scheduler by itself (`test_*.py`), and beside its peers (`versus`)."""
