"""What limits calls: windows, channels and caps, and the lines before those that several share."""
