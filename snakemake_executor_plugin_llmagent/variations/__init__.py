"""What the results would be, had the author of a script decided otherwise."""
