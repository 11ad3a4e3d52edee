"""What `podium dev` shows: a catalog, traffic, and a socket token for one demo user."""
