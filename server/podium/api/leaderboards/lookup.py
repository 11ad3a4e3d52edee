"""Find the leaderboard, run and board of a request, and read the board: live from Redis, final from Postgres."""

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
    """A leaderboard that may be shown. ``scale`` is that of ``ranking.scale_of``, ``most`` the number of ranks."""

    board: Leaderboard
    source: Source
    status: shapes.VisibleStatus
    scale: int
    most: int

    def value(self, units: float) -> float:
        """Return a score in units as an exact value, never as negative zero."""
        return units / self.scale + 0.0

    def shown(self, label: Label) -> dict[str, str] | UnsetType:
        """Return the user attributes that a row shows."""
        keys = self.board.display_attributes
        return shown(label.attributes, keys) if keys else UNSET


def find(space: Space, board: Leaderboard, now_ms: int) -> Found | None:
    """Return the leaderboard, or None if it is inactive."""
    status = status_on(board, local_day(now_ms, space.index.home))
    if status == "inactive":
        return None
    source = space.index.source_of(board)
    return Found(board, source, status, scale_of(source.scale, board.order), board.most)


def leaderboard(request: Request) -> Found:
    """Return the leaderboard of the path's ``key``.

    Raises:
        NotFound: There is none, or it is inactive.
    """
    key: str = request.path_params["key"]
    space = principal(request).space
    board = space.index.leaderboard_by_key.get(key)
    found = find(space, board, services(request).clock()) if board is not None else None
    if found is None:
        raise NotFound(f"Leaderboard not found: {key[: ids.KEY_MAX]}")
    return found


def today(request: Request, state: UserState | None = None) -> date:
    """Return the user's local date, or, without a user, the date in the space's home zone."""
    home = principal(request).space.index.home
    return local_day(services(request).clock(), home if state is None else zone(state.profile.tz))


def asked_run(request: Request, found: Found, state: UserState | None = None) -> Run:
    """Return the run of the query's ``run``, by default the current one (docs/http-api.md#current-run)."""
    return select_run(found.board, params.day(request, "run"), today(request, state))


def run_info(request: Request, found: Found, run: Run) -> shapes.RunInfo:
    """Return a run in the form of the API."""
    final_ms = final_at_ms(found.board, run)
    state = run_state(found.board, run, today(request))
    return shapes.RunInfo(run.start, run.end, state, None if final_ms is None else iso(final_ms))


def asked_group(request: Request, found: Found) -> str | None:
    """Return the group of the query's ``userAttributes`` (a ``group_name``), or None without a breakdown.

    Raises:
        Unprocessable: The group is missing, incomplete or unknown, or there is no breakdown.
    """
    text = request.query_params.get("userAttributes")
    keys = found.board.breakdown_attributes
    if not keys:
        if text:
            raise Unprocessable("userAttributes can't be used: this leaderboard has no breakdown")
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
    """Return the board of a run to which a user belongs, or None for a user without a group."""
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
    """Return the state of a user, or None if the user is unknown."""
    return await state_of(request, user)


class Reader:
    """Reads one board of a run: live ones from Redis, final ones from Postgres."""

    def __init__(self, request: Request, found: Found, run: Run, board: str) -> None:
        self.board = board
        self._request = request
        self._found = found
        self._run = run
        self._final: bool | None = None

    async def final(self) -> bool:
        """Return whether the standings are final and written to Postgres."""
        if self._final is None:
            parts, space = services(self._request), principal(self._request).space
            self._final = False
            if is_final(self._found.board, self._run):
                async with acquired(parts.pool) as connection:
                    self._final = await queries.has_standings(connection, space.id, self.board)
            if not self._final and space.epoch is None:
                raise Unavailable("Redis is being rebuilt")
        return self._final

    async def page(self, offset: int, limit: int, after: queries.After = ()) -> queries.Page:
        """Return rows from ``offset`` on, counted from the place ``after`` if given, within the ranks that are
        shown."""
        parts, space, rules = services(self._request), principal(self._request).space, self._found.board
        if await self.final():
            async with acquired(parts.pool) as connection:
                page = await queries.read_final_page(connection, space.id, self.board, rules.order, offset, limit)
        else:
            found = await queries.read_page(
                parts.redis, space, self.board, rules.tie_rule, offset, limit, after=after
            )
            if found is None:
                raise AssertionError("only a user may be missing")
            page = found
        most = self._found.most
        return page._replace(rows=page.rows[: max(0, most - page.offset)])

    async def places(self, users: Sequence[str], *, tie_rule: TieRule | None = None) -> dict[str, queries.Place]:
        """Return the places of those users who are on the board, by the leaderboard's tie rule or another."""
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
            # A cold user is still in the sorted set, but the member that finds it there went with the state.
            cold = await queries.read_cold(parts.redis, space, missing)
            missing = [user for user, is_cold in zip(missing, cold, strict=True) if is_cold]
        if missing:
            if self._over():  # the state has dropped the run, so the member is looked up in Postgres
                await parts.reads.settle_briefly(space)
            found |= await queries.find_places(parts.redis, parts.pool, space, self.board, ties, missing)
        return found

    async def place(self, user: str) -> queries.Place | None:
        """Return the place of one user, or None if the user is not on the board."""
        return (await self.places([user])).get(user)

    async def offset_of(self, user: str) -> int | None:
        """Return the number of users above a user, or None if the user is not on the board."""
        place = (await self.places([user], tie_rule="ordinal")).get(user)
        return None if place is None else place.rank - 1

    def _over(self) -> bool:
        """Return whether states may have dropped the run, because its dates are over in some time zone."""
        now_ms = services(self._request).clock()
        return self._run.end is not None and local_day(now_ms + LAST_ZONE_MS, UTC) > self._run.end


def ranking(found: Found, row: queries.Row) -> shapes.Ranking:
    """Return a row in the form of the API."""
    value = row.units // found.scale
    return shapes.Ranking(
        row.user, row.label.name, row.rank, value, found.value(row.units), found.shown(row.label)
    )


def board_of(found: Found, run: Run, group: str | None = None) -> str:
    """Return the name of a run's board: that of all users, or of one group."""
    return board_name(found.board.number, run_name(found.board, run), group)
