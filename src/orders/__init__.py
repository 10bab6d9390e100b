"""Orders: a domain without dependencies, and the service around it as extras."""
