"""Tables that a single page has: a file measures each, and keeps what it found in docs/results."""
