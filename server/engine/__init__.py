"""The pure heart: a catalog, a user's state, an input and an instant in; a new state and facts out."""
