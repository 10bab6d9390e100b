"""Orders, their events and the feed in MongoDB."""
