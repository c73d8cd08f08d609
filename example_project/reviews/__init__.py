"""What customers say about products."""
