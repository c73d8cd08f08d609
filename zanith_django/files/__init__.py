"""Migration files: what one is, where they are, how they are read and written."""
