"""The processes: what can be started and called."""
