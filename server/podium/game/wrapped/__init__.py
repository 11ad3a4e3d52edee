"""The year in review of a user."""
