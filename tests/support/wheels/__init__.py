"""Making the source distribution and wheels, and trying them in clean environments."""
