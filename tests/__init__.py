"""Everything is tested against a real PostgreSQL; tests/servers.py says which one."""
