"""What it costs to prune a checkpoint that is larger than memory: python -m bench.scale."""
