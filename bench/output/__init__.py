"""What was measured, as Markdown and as pictures."""
