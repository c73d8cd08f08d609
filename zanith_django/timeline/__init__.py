"""Django's migrations and zanith's on one line: order, states, translation, Django's runner."""
