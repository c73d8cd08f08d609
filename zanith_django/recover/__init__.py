"""Recover: what a drop kept is restored, exported or purged."""
