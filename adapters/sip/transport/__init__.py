"""Sockets: how SIP messages leave this machine and arrive at it."""
