"""Points systems, triggers, boosts and levels."""
