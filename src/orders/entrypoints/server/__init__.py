"""The HTTP server: its processes, and everything that wraps uvicorn's inner parts."""
