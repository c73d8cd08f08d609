"""The server: SQL, locks, the working session, and how statements are sent."""
