"""What each request passes before and after its route."""
