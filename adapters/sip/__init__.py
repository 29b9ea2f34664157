"""SIP for an outbound engine: a pure core of messages, transactions, dialogs and calls, and the thin
trio shell (`user_agent`, with `pump` and `gateway`) that gives it sockets, a clock and chance.
"""
