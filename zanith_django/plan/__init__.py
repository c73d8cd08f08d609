"""The pending part of the timeline, scored, and the gates that it must pass."""
