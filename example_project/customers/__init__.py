"""The shop's customers, their addresses and their loyalty cards."""
