"""A token issuer for development."""
