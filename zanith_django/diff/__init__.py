"""Two graphs → ordered operations."""
