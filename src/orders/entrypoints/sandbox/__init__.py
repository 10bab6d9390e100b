"""Stand-ins for development: payment service, token issuer, database."""
