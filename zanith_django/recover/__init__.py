"""Recover: restores, exports or purges the objects that drops kept."""
