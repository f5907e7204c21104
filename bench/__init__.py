"""Benchmarks of tnm_core against its peers and the machine's limits: `python -m bench`."""
