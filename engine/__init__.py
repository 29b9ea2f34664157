"""The engine: what a call, a list and a flow are, when a contact is due, who may dial it, and what
came of it. It reaches the outside world only through `engine.ports`.
"""
