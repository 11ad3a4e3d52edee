"""Reward the places of final runs, each exactly once (docs/http-api.md#rewards).

A user's state has the last rewarded run of each leaderboard, so repetitions after a crash change nothing.
"""

from __future__ import annotations

import structlog

from podium.clock import Clock
from podium.game.errors import InputFailed, NotFound, PodiumError, RequestError, TooManyRequests, Unavailable
from podium.game.inputs import Reward
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import board_name
from podium.intake.service import Intake
from podium.jobs.quarantine import Quarantine
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import RedisClient

USERS_AT_ONCE = 500
"""Users who are read from Postgres, and rewarded, at a time."""

log = structlog.get_logger(__name__)


class Rewards:
    """The rewards of one space."""

    def __init__(self, pool: Pool, redis: RedisClient, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._intake = intake
        self._space = intake.space
        self._clock = clock
        self._quarantine = Quarantine(redis, self._space, clock, "rewards")
        self._waiting: dict[tuple[int, str], set[str]] = {}
        """Users whose reward for a run has failed, by leaderboard and run. Their rewards for later runs of the
        leaderboard must wait, since a state has only the last rewarded run."""

    async def round(self) -> int:
        """Reward the runs that have become final, and return the number of rewarded users.

        A run that fails repeatedly, for one user or for all, is set aside, and the others go on.

        Raises:
            Unavailable: A store is away.
        """
        await self._quarantine.load()
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
            board, name = boards[leaderboard], board_name(leaderboard, run)
            if self._quarantine.holds("run", name, str(self._space.index.version)):
                continue
            try:
                rewarded += await self._reward_run(board, run)
            except (Unavailable, TooManyRequests):
                raise
            except Exception as error:  # noqa: BLE001 # the quarantine logs it
                await self._quarantine.failed("run", name, error, str(self._space.index.version))
                continue
            if waiting := self._waiting.get((leaderboard, run)):
                failed = InputFailed(f"{len(waiting)} users could not be rewarded")
                await self._quarantine.failed("run", name, failed, str(self._space.index.version))
                continue
            await self._quarantine.passed("run", name)
            async with acquired(self._pool) as connection:
                await connection.execute(
                    "UPDATE final_runs SET rewarded_at = now()"
                    " WHERE space_id = $1 AND leaderboard = $2 AND run = $3",
                    self._space.id,
                    leaderboard,
                    run,
                )
            log.info("run_rewarded", space=self._space.public_id, leaderboard=board.key, run=run)
        return rewarded

    async def _reward_run(self, board: Leaderboard, run: str) -> int:
        last = min(max(reward.to_rank for reward in board.rewards), board.most)
        # If groups are ranked, the place among all users is rewarded.
        group = "grp = ''" if board.group_by is not None or not board.breakdown_attributes else "grp <> ''"
        # Users who wait for the reward of an earlier run wait for this one, too.
        earlier = [
            users for of, users in self._waiting.items() if of < (board.number, run) and of[0] == board.number
        ]
        waiting = set[str]().union(*earlier)
        failed: set[str] = set()
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
                break
            after = (rows[-1]["grp"], rows[-1]["place"])
            inputs = [self._reward(board, run, row["user_id"], row["rank"]) for row in rows]
            failed |= {one.user for one in inputs if one is not None and one.user in waiting}
            wanted = [one for one in inputs if one is not None and one.user not in waiting]
            for one, result in zip(wanted, await self._intake.batcher.submit_many(wanted), strict=True):
                if isinstance(result, InputFailed | RequestError) and not isinstance(result, NotFound):
                    log.warning(
                        "user_not_rewarded", space=self._space.public_id, user=one.user, run=run, error=str(result)
                    )
                    failed.add(one.user)
                elif isinstance(result, PodiumError) and not isinstance(result, NotFound):
                    raise result
            rewarded += len(wanted)
        if failed:
            self._waiting[board.number, run] = failed
        else:
            self._waiting.pop((board.number, run), None)
        return rewarded - len(failed - waiting)

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
