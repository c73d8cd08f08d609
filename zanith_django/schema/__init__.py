"""The schema, and the two ways to read one: from the catalog and from models."""
