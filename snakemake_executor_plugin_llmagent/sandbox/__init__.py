"""Where a script runs, and what it may see."""
