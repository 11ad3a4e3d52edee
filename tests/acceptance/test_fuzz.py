"""Schemathesis over the API document: no 500, no status and no body that the document doesn't name.

``--fuzz`` runs the large profile.
"""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.app import ENDPOINTS
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")

SMALL, LARGE = 12, 1_000
"""Requests to each operation and of each kind (as documented, or not)."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def schema(stack: Stack) -> schemathesis.openapi.BaseOpenAPISchema:
    """The document that the server gives away."""
    return schemathesis.openapi.from_url(f"{stack.url}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    ("method", "path"), sorted({(e.method, e.path.replace(":path", "")) for e in ENDPOINTS}), ids=lambda part: part
)
def test_operation(
    stack: Stack, schema, method: str, path: str, mode: GenerationMode, request: pytest.FixtureRequest
) -> None:
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=LARGE if request.config.getoption("--fuzz") else SMALL,
        deadline=None,
        database=None,
        derandomize=not request.config.getoption("--fuzz"),
        suppress_health_check=list(HealthCheck),
    )
    def fuzz(case: schemathesis.Case) -> None:
        answer = case.call(headers={"X-API-KEY": stack.admin_key})
        case.validate_response(answer, checks=CHECKS)

    fuzz()
