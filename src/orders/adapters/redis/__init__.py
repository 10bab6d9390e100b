"""What is shared in Redis."""
