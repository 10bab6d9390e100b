"""One test suite for each port. Every adapter runs it, also one that another team has written.

The suite of a port is in the module with its name; those of the event ports are in `events`.
"""
