"""Which leaderboard, run and board a request means, and what stands there: in Redis, or final in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from typing import NamedTuple

from msgspec import UNSET, UnsetType
from starlette.requests import Request

from podium.api.leaderboards import queries
from podium.game import ids
from podium.game.errors import NotFound, Unavailable, Unprocessable
from podium.game.leaderboards import shapes
from podium.game.leaderboards.labels import Label, shown
from podium.game.leaderboards.model import Leaderboard, Source, TieRule
from podium.game.leaderboards.ranking import board_name, group_name, is_ranked, scale_of
from podium.game.leaderboards.rules import group_of, status_on
from podium.game.leaderboards.runs import LAST_ZONE_MS, Run, final_at_ms, is_final, run_name, run_state, select_run
from podium.game.periods import iso, local_day, zone
from podium.game.state import UserState
from podium.http import params
from podium.http.auth import principal
from podium.http.services import services
from podium.http.users import state_of
from podium.spaces.space import Space
from podium.storage.postgres.pool import acquired


class Found(NamedTuple):
    """A leaderboard that may be shown. ``scale`` as in ranking.scale_of, ``most``: ranks that count."""

    board: Leaderboard
    source: Source
    status: shapes.VisibleStatus
    scale: int
    most: int

    def value(self, units: float) -> float:
        """The exact value; never a negative zero."""
        return units / self.scale + 0.0

    def shown(self, label: Label) -> dict[str, str] | UnsetType:
        """What is shown of a user's attributes."""
        keys = self.board.display_attributes
        return shown(label.attributes, keys) if keys else UNSET


def find(space: Space, board: Leaderboard, now_ms: int) -> Found | None:
    """The leaderboard, None for an inactive one."""
    status = status_on(board, local_day(now_ms, space.index.home))
    if status == "inactive":
        return None
    source = space.index.source_of(board)
    return Found(board, source, status, scale_of(source.scale, board.order), board.most)


def leaderboard(request: Request) -> Found:
    """The leaderboard of the path's ``key``; 404 where there is none to be shown."""
    key: str = request.path_params["key"]
    space = principal(request).space
    board = space.index.leaderboard_by_key.get(key)
    found = find(space, board, services(request).clock()) if board is not None else None
    if found is None:
        raise NotFound(f"Leaderboard not found: {key[: ids.KEY_MAX]}")
    return found


def today(request: Request, state: UserState | None = None) -> date:
    """The user's local date; without a user that of the home zone."""
    home = principal(request).space.index.home
    return local_day(services(request).clock(), home if state is None else zone(state.profile.tz))


def asked_run(request: Request, found: Found, state: UserState | None = None) -> Run:
    """The run of the query's ``run``, by default the current one (docs/http-api.md#current-run)."""
    return select_run(found.board, params.day(request, "run"), today(request, state))


def run_info(request: Request, found: Found, run: Run) -> shapes.RunInfo:
    """The run as shown."""
    final_ms = final_at_ms(found.board, run)
    state = run_state(found.board, run, today(request))
    return shapes.RunInfo(run.start, run.end, state, None if final_ms is None else iso(final_ms))


def asked_group(request: Request, found: Found) -> str | None:
    """The group of the query's ``userAttributes``, a ``group_name``; None where there is no breakdown.

    422 where it is needed and missing, incomplete or unknown, or not to be given.
    """
    text = request.query_params.get("userAttributes")
    keys = found.board.breakdown_attributes
    if not keys:
        if text:
            raise Unprocessable("userAttributes: this leaderboard is not broken down by attributes")
        return None
    if not text:
        raise Unprocessable(f"userAttributes is required: a value for each of {', '.join(keys)}")
    given = params.attributes(request, principal(request).space.index.user_attributes)
    if not given.keys() <= set(keys):
        raise Unprocessable(f"userAttributes must be like {','.join(f'{key}:value' for key in keys)}")
    if len(given) < len(keys):
        raise Unprocessable(f"userAttributes is required: a value for each of {', '.join(keys)}")
    return group_name(tuple(given[key] for key in keys))


def own_board(found: Found, run: Run, state: UserState) -> str | None:
    """The board of a run on which a user stands, or would: None for one without a group."""
    name = board_name(found.board.number, run_name(found.board, run))
    if not found.board.breakdown_attributes:
        return name
    held = [board for board in state.boards if board.startswith(f"{name}:") and is_ranked(board)]
    if held:
        return held[0]
    values = tuple(state.profile.attributes.get(key, "") for key in found.board.breakdown_attributes)
    group = group_of(values)
    return f"{name}:{group}" if group else None


async def user_state(request: Request, user: str) -> UserState | None:
    """The state of a user, None for an unknown one."""
    return await state_of(request, user)


class Reader:
    """Reads one board of a run, from wherever it stands: live ones from Redis, final ones from Postgres."""

    def __init__(self, request: Request, found: Found, run: Run, board: str) -> None:
        self.board = board
        self._request = request
        self._found = found
        self._run = run
        self._final: bool | None = None

    async def final(self) -> bool:
        """Whether the standings are final and written."""
        if self._final is None:
            parts, space = services(self._request), principal(self._request).space
            self._final = False
            if is_final(self._found.board, self._run):
                async with acquired(parts.pool) as connection:
                    self._final = await queries.has_standings(connection, space.id, self.board)
            if not self._final and space.epoch is None:
                raise Unavailable("Redis is being rebuilt")
        return self._final

    async def page(self, offset: int, limit: int, behind: queries.Behind = ()) -> queries.Page:
        """Rows from ``offset`` on, counted from ``behind`` a place if one is given; only ranks that count."""
        parts, space, rules = services(self._request), principal(self._request).space, self._found.board
        if await self.final():
            async with acquired(parts.pool) as connection:
                page = await queries.read_final_page(connection, space.id, self.board, rules.order, offset, limit)
        else:
            found = await queries.read_page(
                parts.redis, space, self.board, rules.tie_rule, offset, limit, behind=behind
            )
            if found is None:
                raise AssertionError("only a user may be missing")
            page = found
        most = self._found.most
        return page._replace(rows=page.rows[: max(0, most - page.offset)])

    async def places(self, users: Sequence[str], *, tie_rule: TieRule | None = None) -> dict[str, queries.Place]:
        """Where users stand, those who are on the board; by the leaderboard's own tie rule, or another."""
        parts, space, rules = services(self._request), principal(self._request).space, self._found.board
        if await self.final():
            async with acquired(parts.pool) as connection:
                final = await queries.read_final_places(connection, space.id, self.board, rules.order, users)
            ordinal = tie_rule == "ordinal"
            return {
                user: place._replace(rank=above + 1) if ordinal else place
                for user, (above, place) in final.items()
            }
        ties = tie_rule or rules.tie_rule
        found = await queries.read_places(parts.redis, space, self.board, ties, users)
        missing = [user for user in users if user not in found]
        if missing and not self._over():
            # States that were evicted: Redis has let go of where they stand, but not of the place.
            cold = await queries.read_cold(parts.redis, space, missing)
            missing = [user for user, is_cold in zip(missing, cold, strict=True) if is_cold]
        if missing:
            if self._over():  # what states let go of is found by what is flushed
                await parts.reads.settle_briefly(space)
            found |= await queries.find_places(parts.redis, parts.pool, space, self.board, ties, missing)
        return found

    async def place(self, user: str) -> queries.Place | None:
        """Where one user stands; None if not on the board."""
        return (await self.places([user])).get(user)

    async def offset_of(self, user: str) -> int | None:
        """How many stand above a user; None if not on the board."""
        place = (await self.places([user], tie_rule="ordinal")).get(user)
        return None if place is None else place.rank - 1

    def _over(self) -> bool:
        """Whether states may have let go of the run: its dates are over somewhere."""
        now_ms = services(self._request).clock()
        return self._run.end is not None and local_day(now_ms + LAST_ZONE_MS, UTC) > self._run.end


def ranking(found: Found, row: queries.Row) -> shapes.Ranking:
    """A row as shown."""
    value = row.units // found.scale
    return shapes.Ranking(
        row.user, row.label.name, row.rank, value, found.value(row.units), found.shown(row.label)
    )


def board_of(found: Found, run: Run, group: str | None = None) -> str:
    """The board of a run, of all or of a group."""
    return board_name(found.board.number, run_name(found.board, run), group)
