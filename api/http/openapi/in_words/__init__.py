"""What each route does, takes and gives, by what it is about."""
