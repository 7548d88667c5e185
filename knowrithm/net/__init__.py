"""Outbound network access: the address policy and the only HTTP client."""
