"""Real projects compared with their own migrated databases, on demand: `python -m tests.corpus`."""
