"""One folder a feature: ``ls server/features/*/rules.py`` shows the whole game.

Features never import each other.
"""
