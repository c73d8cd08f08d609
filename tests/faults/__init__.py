"""Runs that are cut off at every statement, and what the next run makes of them."""
