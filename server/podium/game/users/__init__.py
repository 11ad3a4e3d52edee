"""Users: profile, attributes, preferences."""
