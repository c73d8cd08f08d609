"""Apply: the pending part of the timeline, one audited step at a time."""
