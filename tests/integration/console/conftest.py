"""A served console, as in test_console.py, whose passwords are quickly checked."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from podium.console import accounts
from podium.console.pages import overview
from tests.integration.test_console import console, console_url

__all__ = ["console", "console_url"]


@pytest.fixture(autouse=True)
def _patient_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, users are counted before the overview is shown."""
    monkeypatch.setattr(overview, "COUNTED_S", 30)


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash is made to take long, which says nothing here."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", quick)
    nobody = quick.hash("nobody")
    monkeypatch.setattr(accounts, "_dummy_hash", lambda: nobody)
