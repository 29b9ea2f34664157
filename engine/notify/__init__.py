"""Who is told of what happened: the delivery of events to users' own systems."""
