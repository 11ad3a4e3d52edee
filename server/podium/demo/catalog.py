"""The demo's metric, leaderboards and users."""

from __future__ import annotations

from typing import NamedTuple

METRIC = "words-written"
BOARDS = {"all-time": "Words, all time", "daily": "Words, today"}
"""Leaderboards by key: a perpetual and a daily one."""


class Person(NamedTuple):
    """A demo user."""

    id: str
    name: str
    city: str = ""
    tz: str | None = None


YOU = Person("you", "You")
"""The user as whom the demo page posts events."""

PEOPLE = tuple(
    Person(f"writer-{i}", name, "London" if i % 2 else "New York")
    for i, name in enumerate(
        [
            "Ana Souza",
            "Ben Okafor",
            "Chiyo Tanaka",
            "Dmitri Volkov",
            "Élodie Martin",
            "Fatima al-Zahra",
            "Gustav Lindqvist",
            "Hana Kim",
            "Ivy Chen",
            "Jack O’Brien",
            "Katarzyna Nowak",
            "Liam Walker",
            "María García",
            "نور حداد",
            "Olumide Ade",
            "Priya Raman",
            "Quinn Harper",
            "Rosa Keller",
            "Sven Iversen",
            "Tala Reyes",
        ],
        start=1,
    )
)
"""Users without a time zone, so that all have the server's date and the daily board is never half empty."""
