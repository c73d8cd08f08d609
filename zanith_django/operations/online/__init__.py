"""Changes of a table while other sessions read and write it."""
