"""zanith migrations of customers."""

covered_after = None
