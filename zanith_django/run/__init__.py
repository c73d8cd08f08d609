"""The engine that apply, rollback and recover share."""
