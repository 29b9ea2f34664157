"""Recordings: the process that writes them, the plane's end of it, and the files."""
