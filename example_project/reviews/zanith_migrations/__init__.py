"""zanith migrations of reviews."""

covered_after = None
