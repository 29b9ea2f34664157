"""What the API shows of each thing: CONTRACT.md's JSON, as structs.

A view is made from the model by a pure function; nothing here asks the store.
"""
