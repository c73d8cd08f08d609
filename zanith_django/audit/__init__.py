"""Audit: what the ledger answers, for the command line and for the admin."""
