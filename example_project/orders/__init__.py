"""Orders, their lines and their payments."""
