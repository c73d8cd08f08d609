"""Verify: the plan runs on a throwaway shadow first."""
