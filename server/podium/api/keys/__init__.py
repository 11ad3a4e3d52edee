"""Keys that act for one user."""
