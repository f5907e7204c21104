"""Shared test code: oracles, naive references, input generators and the assertion helper."""
