"""Settings of a space that belong to no other feature."""
