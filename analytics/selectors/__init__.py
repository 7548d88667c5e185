"""What the console and the statistics read."""
