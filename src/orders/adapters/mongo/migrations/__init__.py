"""Migrations of the stored form, in the order of their file names, for Beanie's runner."""
