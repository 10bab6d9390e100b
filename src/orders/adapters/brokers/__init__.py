"""Publishers of events, by broker."""
