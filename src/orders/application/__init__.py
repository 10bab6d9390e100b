"""What the service can do, and what it needs from outside. Standard library only."""
