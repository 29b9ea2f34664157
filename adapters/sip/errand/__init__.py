"""Requests outside any call, pure: asking whether a trunk is there (OPTIONS), and registering."""
