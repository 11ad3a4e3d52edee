"""Points: systems, triggers, boosts, levels."""
