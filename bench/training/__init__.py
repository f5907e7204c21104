"""What sparse training costs: patterns, recipes and mask methods on text and images."""
