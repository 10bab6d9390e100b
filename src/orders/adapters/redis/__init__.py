"""State in Redis that all processes share."""
