"""SIP for an outbound engine: a pure core of messages, transactions, dialogs and calls, and the thin
trio shell (`user_agent`) that gives it a socket, a clock and chance.
"""
