"""`orders replay`: a shop's invoices, sent through the HTTP API as orders and returns."""

from orders.entrypoints.sandbox.replay.run import replay

__all__ = ["replay"]
