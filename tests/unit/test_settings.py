from __future__ import annotations

import pytest

from podium.game.errors import SettingsError
from podium.settings import load

NEEDED = {"PODIUM_REDIS_URL": "redis://r", "PODIUM_DATABASE_URL": "postgresql://p"}


@pytest.mark.parametrize("proxies", ["", "10.0.0.5", "10.0.0.5, 192.168.0.0/16,::1,fd00::/8"])
def test_trusted_proxies(proxies: str) -> None:
    assert load({**NEEDED, "PODIUM_TRUSTED_PROXIES": proxies}).trusted_proxies == proxies


@pytest.mark.parametrize("proxies", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.5,"])
def test_what_names_no_proxy_is_refused(proxies: str) -> None:
    with pytest.raises(SettingsError, match="PODIUM_TRUSTED_PROXIES is not usable"):
        load({**NEEDED, "PODIUM_TRUSTED_PROXIES": proxies})
