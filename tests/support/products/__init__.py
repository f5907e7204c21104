"""Products with packed matrices: cases, references and the assertion helper."""
