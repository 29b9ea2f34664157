"""What happens on an answered call: the definition of a flow, and the interpreter that runs it."""
