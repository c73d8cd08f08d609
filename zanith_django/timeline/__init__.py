"""Django's migrations and zanith's in one order: their states, translation, and Django's runner."""
