"""A small shop that shows zanith_django at work: four apps, one admin, one command to fill it."""
