"""Points: what earns them, boosts that multiply them, levels that they lead to."""
