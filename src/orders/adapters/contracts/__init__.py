"""One test suite per port, for every adapter of it, also another team's."""
