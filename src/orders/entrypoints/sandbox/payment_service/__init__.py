"""A payment service for development."""
