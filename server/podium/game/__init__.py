"""The pure rules of the game: from a catalog, a user's state, an input and an instant to a new state and a record.

No module in this package imports other packages of Podium, does I/O, reads a clock or awaits; the import contracts
check that. ``ls server/podium/game/*/rules.py`` shows all rules.
"""
