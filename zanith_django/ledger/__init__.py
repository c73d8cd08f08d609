"""The five tables of the ledger."""
