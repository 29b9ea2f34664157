"""Load scenarios that a user runs to size a machine, and that this project runs to know its speed.

Each measures a figure, and in the same run the floor below which it cannot come or the peer beside it.
"""
