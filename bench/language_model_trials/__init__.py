"""Ideas for pruning a language model, tried on some of its blocks: what wins, and what does not."""
