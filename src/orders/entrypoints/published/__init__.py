"""The published descriptions of the API and of the events."""
