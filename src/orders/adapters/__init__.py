"""The outside world, by technology. Adapters do not know each other."""
