"""What people ask of an installation: to set it up, to hold and move what waits, and to say why it waits."""
