"""Migration files: their parts, their folders, and how they are read and written."""
