"""zanith migrations of catalog."""

covered_after = None
