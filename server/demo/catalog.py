"""The demo's metric, boards and people."""

from __future__ import annotations

from typing import NamedTuple

METRIC = "words-written"
BOARDS = {"all-time": "Words, all time", "daily": "Words, today"}
"""Leaderboards by key: a perpetual and a daily one."""


class Person(NamedTuple):
    """A demo user."""

    id: str
    name: str
    tz: str


YOU = Person("you", "You", "UTC")
"""Whom the demo page writes as."""

PEOPLE = tuple(
    Person(f"writer-{i}", name, tz)
    for i, (name, tz) in enumerate(
        [
            ("Ana Souza", "America/Sao_Paulo"),
            ("Ben Okafor", "Africa/Lagos"),
            ("Chiyo Tanaka", "Asia/Tokyo"),
            ("Dmitri Volkov", "Europe/Helsinki"),
            ("Élodie Martin", "Europe/Paris"),
            ("Fatima al-Zahra", "Africa/Casablanca"),
            ("Gustav Lindqvist", "Europe/Stockholm"),
            ("Hana Kim", "Asia/Seoul"),
            ("Ivy Chen", "Asia/Taipei"),
            ("Jack O’Brien", "Europe/Dublin"),
            ("Katarzyna Nowak", "Europe/Warsaw"),
            ("Liam Walker", "Pacific/Auckland"),
            ("María García", "America/Mexico_City"),
            ("نور حداد", "Asia/Beirut"),
            ("Olumide Ade", "Africa/Lagos"),
            ("Priya Raman", "Asia/Kolkata"),
            ("Quinn Harper", "America/New_York"),
            ("Rosa Keller", "Europe/Zurich"),
            ("Sven Iversen", "Europe/Oslo"),
            ("Tala Reyes", "Asia/Manila"),
        ],
        start=1,
    )
)
