"""Chaos: a Podium of real processes under load, broken at random moments, and its promises checked afterwards.

``python -m tests.chaos --help``; docs/reliability.md says what is measured.
"""
