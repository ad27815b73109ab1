"""Benchmarks: this scheduler alone (`test_*.py`), and compared with its peers (`versus`)."""
