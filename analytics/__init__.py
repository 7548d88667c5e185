"""What comes of it: usage, metrics, roll-ups, exports. Nothing is here yet."""
