"""The rules, pure: a catalog, a user's state, an input and an instant in; a new state and facts out.

No module in here imports anything of Podium from outside, does I/O, reads a clock or awaits; the import contracts
check it. ``ls server/podium/game/*/rules.py`` shows all rules.
"""
