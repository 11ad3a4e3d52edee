"""WebSocket frames of our own, against those of the library."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from podium.http.websocket import text_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_text_frame_is_what_the_library_makes(size: int) -> None:
    for text in ("x" * size, "é" * (size // 2)):
        assert text_frame(text) == Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
