"""Sparse products against dense and sparse ones of others, in worker processes."""
