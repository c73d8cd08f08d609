"""Faces on the command line."""
