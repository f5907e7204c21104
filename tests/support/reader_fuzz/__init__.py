"""A mutation fuzzer for everything that reads files; ``python -m tests.support.reader_fuzz``."""
