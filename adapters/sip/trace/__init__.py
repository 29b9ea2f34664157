"""Every call's SIP messages, kept for a while, to be looked at."""
