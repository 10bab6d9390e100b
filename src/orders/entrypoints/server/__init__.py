"""The HTTP server: processes, connections, and what stands before the application."""
