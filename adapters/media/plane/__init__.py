"""The plane's process: the loop, and what runs in it for all streams at once. No trio."""
