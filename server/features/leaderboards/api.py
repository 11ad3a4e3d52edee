from __future__ import annotations

from server.http.endpoints import Endpoint

ENDPOINTS: list[Endpoint] = []
