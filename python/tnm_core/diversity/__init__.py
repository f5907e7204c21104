"""Counting masks."""
