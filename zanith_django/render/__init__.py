"""Plans, runs and reports in the formats that people and CI read."""
