"""Contract suites of the ports that store and deliver events, with their sample events."""
