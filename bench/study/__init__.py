"""Study of pruning after training: what is run, on what, and what is told about it."""
