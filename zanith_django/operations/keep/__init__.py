"""Drops that keep the values of what they drop, and restores."""
