"""Plans, runs and reports as text and JSON: the words and shapes that people and CI read."""
