"""Migration files from Django's migrations, from a difference, or from nothing."""
