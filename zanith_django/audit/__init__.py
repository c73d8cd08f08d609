"""Audit: answers from the ledger, for the command line and the admin."""
