"""zanith migrations of orders."""

covered_after = None
