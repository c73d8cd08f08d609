"""What SQL and Python do to a schema, its rows and its sessions, read from the code itself."""
