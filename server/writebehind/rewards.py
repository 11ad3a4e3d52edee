"""Rewards the places of runs that are final, each exactly once (contract.md, section 17: rewards).

A user's state remembers the last run of a leaderboard that was rewarded, so whatever is repeated after a crash
changes nothing.
"""

from __future__ import annotations

import structlog

from server.backends.postgres.pool import Pool, acquired
from server.clock import Clock
from server.core.errors import NotFound, PodiumError
from server.engine.inputs import Reward
from server.features.leaderboards.model import Leaderboard
from server.intake.service import Intake

USERS_AT_ONCE = 500
"""Users read from Postgres, and rewarded, at a time."""

log = structlog.get_logger(__name__)


class Rewards:
    """The rewards of one space."""

    def __init__(self, pool: Pool, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._intake = intake
        self._space = intake.space
        self._clock = clock

    async def round(self) -> int:
        """Reward what has become final; how many users that were. ``Unavailable`` where a store is away."""
        boards = {board.number: board for board in self._space.index.catalog.leaderboards if board.rewards}
        if not boards:
            return 0
        async with acquired(self._pool) as connection:
            runs = await connection.fetch(
                "SELECT leaderboard, run FROM final_runs WHERE space_id = $1 AND rewarded_at IS NULL"
                " AND leaderboard = ANY ($2::integer[]) ORDER BY leaderboard, run",
                self._space.id,
                list(boards),
            )
        rewarded = 0
        for leaderboard, run in runs:
            users = await self._reward_run(boards[leaderboard], run)
            async with acquired(self._pool) as connection:
                await connection.execute(
                    "UPDATE final_runs SET rewarded_at = now()"
                    " WHERE space_id = $1 AND leaderboard = $2 AND run = $3",
                    self._space.id,
                    leaderboard,
                    run,
                )
            log.info(
                "run_rewarded",
                space=self._space.public_id,
                leaderboard=boards[leaderboard].key,
                run=run,
                users=users,
            )
            rewarded += users
        return rewarded

    async def _reward_run(self, board: Leaderboard, run: str) -> int:
        last = min(max(reward.to_rank for reward in board.rewards), board.most)
        # Where groups are ranked, the place that counts is the one among all.
        group = "grp = ''" if board.group_by is not None or not board.breakdown_attributes else "grp <> ''"
        rewarded, after = 0, ("", 0)
        while True:
            async with acquired(self._pool) as connection:
                rows = await connection.fetch(
                    "SELECT grp, place, rank, user_id FROM run_standings"  # noqa: S608 # our own words
                    f" WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND {group} AND rank <= $4"
                    " AND (grp, place) > ($5, $6) ORDER BY grp, place LIMIT $7",
                    self._space.id,
                    board.number,
                    run,
                    last,
                    *after,
                    self._intake.batcher.at_once(USERS_AT_ONCE),
                )
            if not rows:
                return rewarded
            after = (rows[-1]["grp"], rows[-1]["place"])
            inputs = [self._reward(board, run, row["user_id"], row["rank"]) for row in rows]
            wanted = [one for one in inputs if one is not None]
            for result in await self._intake.batcher.submit_many(wanted):
                if isinstance(result, PodiumError) and not isinstance(result, NotFound):
                    raise result
            rewarded += len(wanted)

    def _reward(self, board: Leaderboard, run: str, user: str, rank: int) -> Reward | None:
        index = self._space.index
        systems = {system.id: number for number, system in index.points.systems.items()}
        points: dict[int, int] = {}
        achievements: list[int] = []
        freezes = 0
        for reward in board.rewards:
            if not reward.from_rank <= rank <= reward.to_rank:
                continue
            if reward.system_id in systems:
                system = systems[reward.system_id]
                points[system] = points.get(system, 0) + reward.amount
            goal = index.achievements.by_id.get(reward.achievement_id or "")
            if goal is not None:
                achievements.append(goal.number)
            freezes += reward.freezes
        if not points and not achievements and not freezes:
            return None
        return Reward(user, board.number, run, self._clock(), points, tuple(achievements), freezes)
