"""Histories that follow from a seed: a few for each run of the tests, more with ``--fuzz``."""

from __future__ import annotations

from typing import Any

import pytest


def seeds(count: int, always: int = 1) -> Any:
    """Parametrize a test by ``seed``, from 1 to ``count``; those behind ``always`` only run with ``--fuzz``."""
    more = [pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(always + 1, count + 1)]
    return pytest.mark.parametrize("seed", [*range(1, always + 1), *more])
