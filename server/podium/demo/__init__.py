"""The demo of `podium dev`: a catalog, two months of history, traffic, and a realtime token for one user."""
