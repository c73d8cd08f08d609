"""Drops that keep what they drop, and the way back."""
