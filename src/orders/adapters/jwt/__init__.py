"""Tokens of the auth service."""
