"""Ours and others on the same numbers, and what they have in common."""
