"""From the raw results of a benchmark to its table and page. Pure, but for ``main``.

``python -m loadtest.report RESULTS.json [--write docs/performance.md]`` prints or writes those of an earlier run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import orjson

from loadtest import pictures

Results = dict[str, Any]

RATE, SHARE, LAG_S = 6_000, 0.25, 5.0
BATCH_RATE, BESIDE_MS = 12_000, 15.0
REDIS_US = 60.0
RANK_MS = (1.0, 4.0)
FRAME_MS = (3.0, 15.0)
STEADY_LAG_S = 1.0
FAN_RATE = 140_000
NOW_MS, DEFAULT_MS = (5.0, 30.0), (30.0, 65.0)
WITHIN_S = 0.3
KEPT = 0.8
IDLE_KIB = 32.0
ALL_IN_S = 10.0
SLOW_MIB = 1.0
UNAFFECTED = 1.5
"""Two runs of the same load differ by less than this in their p99."""
GROWTH_S = 0.1
"""A trend over the whole run below this is no growth: a flush every 0.2 s makes the lag a saw."""


class Row(NamedTuple):
    """One line of the table; ``reached`` is None where nothing is asked."""

    what: str
    target: str
    measured: str
    reached: bool | None


LIVE = ("fan_out", "frames_now", "frames_default", "personal", "memory", "connecting", "slow")
TITLES = {False: "Posting and ranks", True: "Live"}
"""The page's sections, by whether they hold live rows; each may come from a run of its own."""


def is_live(r: Results) -> bool:
    """Whether it is a run of the live rows."""
    return any(name in r for name in LIVE)


def live_rows(r: Results) -> Iterator[Row]:
    """The table of viewers."""
    if fan := r.get("fan_out"):
        measured = (
            f"**{fan['rate']:,.0f} frames/s** of {fan['frame_bytes']:.0f} bytes at {fan['changes']:.0f} changes/s "
            f"(cores: web {fan['cores']['web']:.2f}, viewers {fan['generator_cores']:.2f}){_closed(fan)}"
        )
        what = "frames of one web process to 1,000 viewers of one board, interval 0, 200 window changes/s"
        yield Row(what, f"≥ {FAN_RATE:,}/s received", measured, fan["rate"] >= FAN_RATE)
    for name, what, (p50, p99) in (
        ("frames_now", "event → frame, each event changes its board's window, 1,000 viewers of 10 boards", NOW_MS),
        ("frames_default", "… at the default interval of 50 ms", DEFAULT_MS),
    ):
        if found := r.get(name):
            yield Row(
                f"{what}, {found['rate']:,.0f} events/s",
                f"p50 ≤ {p50:g} ms, p99 ≤ {p99:g} ms",
                _frames(found) + _closed(found),
                found["p50_s"] * 1e3 <= p50 and found["p99_s"] * 1e3 <= p99,
            )
    if own := r.get("personal"):
        share = own["within"] / max(1, own["expected"])
        wrong = f"; **{own['wrong_places']} wrong at the end**" if own["wrong_places"] else ""
        yield Row(
            f"personal rank push: 1,000 users follow their place on a board of {r['users']:,}, 1,157 events/s",
            f"within {WITHIN_S * 1e3:g} ms",
            f"**{share:.2%} within {WITHIN_S * 1e3:g} ms**; p50 {_ms(own['p50_s'])}, p99 {_ms(own['p99_s'])}, "
            f"at most {_ms(own['max_s'])}; {own['lost']} of {own['expected']:,} never{wrong}",
            share == 1 and not wrong,
        )
        kept = own["beside_rate"] / own["alone_rate"]
        measured = f"**{kept:.0%}**: {own['beside_rate']:,.0f} of {own['alone_rate']:,.0f} events/s"
        yield Row("… throughput of posting that is kept meanwhile", f"≥ {KEPT:.0%}", measured, kept >= KEPT)
    if idle := r.get("memory"):
        kib = idle["bytes"] / 1024
        what = f"memory of an idle viewer of one board (mean of {idle['viewers']:,})"
        yield Row(what, f"≤ {IDLE_KIB:g} KiB", f"**{kib:.1f} KiB**", kib <= IDLE_KIB)
    if room := r.get("connecting"):
        yield Row(
            f"{room['viewers']:,} viewers connect at once",
            f"all hold a right snapshot within {ALL_IN_S:g} s",
            f"**{room['right']:,} right, all within {room['max_s']:.2f} s** (p50 {room['p50_s']:.2f} s); posting "
            f"meanwhile {room['posted_rate']:,.0f} events/s, p99 {_ms(room['posted_p99_s'])}{_faults(room)}",
            room["right"] == room["viewers"] and room["max_s"] <= ALL_IN_S,
        )
    if slow := r.get("slow"):
        mib, alone, beside = slow["bytes"] / 2**20, slow["alone"], slow["beside"]
        yield Row(
            f"slow viewer of 10 boards that reads nothing for {slow['seconds']:.0f} s (mean of {slow['viewers']})",
            f"memory ≤ {SLOW_MIB:g} MiB, others unaffected",
            f"**{mib:.2f} MiB** at most; others: {_frames(beside)} (with ones that read: {_frames(alone)})"
            + _closed(beside),
            mib <= SLOW_MIB and beside["p99_s"] <= alone["p99_s"] * UNAFFECTED and not beside["closed"],
        )
    if (wrong := r.get("wrong")) is not None:
        yield _equal(wrong)


def _frames(found: dict[str, Any]) -> str:
    expected = found["seen"] + found["lost"]
    lost = f", {found['lost'] / expected:.2%} in no frame" if found["lost"] else ""
    return f"**p50 {_ms(found['p50_s'])}, p99 {_ms(found['p99_s'])}**{lost}"


def _closed(found: dict[str, Any]) -> str:
    return f"; {found['closed']} viewers were hung up on" if found["closed"] else ""


def _equal(wrong: list[str]) -> Row:
    measured = "every place of every board, and all sums" if not wrong else "; ".join(wrong)
    return Row("sent = Redis = Postgres after all of it", "equal", measured, not wrong)


def table_rows(r: Results) -> Iterator[Row]:
    """The table of posting; rows that were not played are left out."""
    users, pool = r["users"], r["pool"]
    if one := r.get("singles"):
        rate = one["rate"]
        what = f"single-event POST, 64 connections, users drawn from {pool:,}, {one['seconds']:.0f} s"
        measured = f"**{rate:,.0f} events/s**; p50 {_ms(one['p50_s'])}, p99 {_ms(one['p99_s'])}"
        yield Row(what, f"≥ {RATE:,} events/s", measured + _faults(one), rate >= RATE)
        yield Row(
            "… flush lag at its end", f"≤ {LAG_S:g} s", f"{one['lag_end_s']:.2f} s", one["lag_end_s"] <= LAG_S
        )
        base, bare = r["baseline"]["rate"], r["baseline_bare"]["rate"]
        yield Row(
            "… share of a handler that only reads the body",
            f"≥ {SHARE}",
            f"**{rate / base:.2f}** of a Starlette route ({base:,.0f}/s); "
            f"{rate / bare:.2f} of bare ASGI ({bare:,.0f}/s)",
            rate / base >= SHARE,
        )
    if uniform := r.get("singles_uniform"):
        measured = f"{uniform['rate']:,.0f} events/s; flush lag {uniform['lag_end_s']:.2f} s"
        yield Row(f"… users drawn from all {users:,}", "state it", measured + _faults(uniform), None)
    if keyed := r.get("singles_keyed"):
        measured = f"{keyed['rate']:,.0f} events/s; flush lag {keyed['lag_end_s']:.2f} s"
        yield Row("… each with an idempotency key", "state it", measured + _faults(keyed), None)
    if many := r.get("batches"):
        measured = f"**{many['rate']:,.0f} events/s**; flush lag {many['lag_end_s']:.2f} s" + _faults(many)
        yield Row("batches of 1,000", f"≥ {BATCH_RATE:,} events/s", measured, many["rate"] >= BATCH_RATE)
    if beside := r.get("beside_batches"):
        single, batch, alone = beside["singles"], beside["batches"], beside["singles_alone"]
        measured = (
            f"p50 {_ms(single['p50_s'])}, **p99 {_ms(single['p99_s'])}** beside {batch['rate']:,.0f} events/s "
            f"(alone: {_ms(alone['p50_s'])}, {_ms(alone['p99_s'])})"
        )
        what = "single posts (200/s) beside 5,000 events/s of batches"
        yield Row(what, f"p99 ≤ {BESIDE_MS:g} ms", measured + _faults(single), single["p99_s"] * 1e3 <= BESIDE_MS)
    if one := r.get("singles"):
        measured = f"**{one['redis_us']:.0f} µs**"
        if keyed := r.get("singles_keyed"):
            measured += f"; {keyed['redis_us']:.0f} µs with an idempotency key"
        yield Row(
            "Redis time of an event on two boards", f"≤ {REDIS_US:g} µs", measured, one["redis_us"] <= REDIS_US
        )
    if day := r.get("day_load"):
        p50_ms, p99_ms = day["rank_p50_s"] * 1e3, day["rank_p99_s"] * 1e3
        yield Row(
            f"rank update inside the server at {day['rate']:,.0f} events/s",
            f"p50 ≤ {RANK_MS[0]:g} ms, p99 ≤ {RANK_MS[1]:g} ms",
            f"**p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms**; {day['rank_within_2ms']:.2%} within 2 ms"
            + _faults(day),
            p50_ms <= RANK_MS[0] and p99_ms <= RANK_MS[1],
        )
    if frames := r.get("watched"):
        p50_ms, p99_ms = frames["p50_s"] * 1e3, frames["p99_s"] * 1e3
        lost = f"; {frames['lost']} changes in no frame" if frames["lost"] else ""
        yield Row(
            "event that changes the watched window → frame received, interval 0, 100 changes/s in the same load",
            f"p50 ≤ {FRAME_MS[0]:g} ms, p99 ≤ {FRAME_MS[1]:g} ms",
            f"**p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms** of {frames['changes']:,}{lost}",
            p50_ms <= FRAME_MS[0] and p99_ms <= FRAME_MS[1] and not lost,
        )
    if day := r.get("day_load"):
        trend_s = day["lag_slope"] * day["seconds"]
        yield Row(
            f"flush lag, same load, {day['seconds']:.0f} s",
            f"≤ {STEADY_LAG_S:g} s, no growth",
            f"at most **{day['lag_max_s']:.2f} s**; trend {trend_s:+.3f} s over the run",
            day["lag_max_s"] <= STEADY_LAG_S and trend_s <= GROWTH_S,
        )
    if seeded := r.get("seeded"):
        parts = seeded["redis_bytes"]
        rest = ", ".join(f"{name} {parts[name] / 2**20:,.0f}" for name in parts if name != "total")
        per = parts["total"] / seeded["users"]
        measured = f"**{parts['total'] / 2**20:,.0f} MiB**, {per:,.0f} bytes a user (MiB: {rest})"
        yield Row(f"Redis memory of {seeded['users']:,} users on two boards", "state it", measured, None)
        speed = seeded["users"] / seeded["rebuild_s"]
        measured = f"{seeded['rebuild_s']:.1f} s, {speed:,.0f} users/s"
        yield Row("rebuild of that Redis from Postgres", "state it", measured, None)
    if (wrong := r.get("wrong")) is not None:
        yield _equal(wrong)


def markdown(r: Results) -> str:
    """The table with its circumstances."""
    machine = r["machine"]
    viewers = ", viewers in one process beside it" if is_live(r) else ""
    lines = [
        f"{r['date']}, {machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']:.0f} GiB; "
        f"Python {machine['python']}, {machine['valkey']}, {machine['postgres']}, {machine['kernel']}; "
        f"{r['users']:,} users on each of two boards (perpetual, daily), `appendfsync always`, worker and "
        f"Postgres running, generator ({r['generator']}) and stores on the same machine{viewers}, "
        f"{r['workers']} web process{'es' if r['workers'] > 1 else ''}.",
        "",
        "| what | target | measured | reached |",
        "|---|---|---|---|",
    ]
    for row in (live_rows if is_live(r) else table_rows)(r):
        mark = "" if row.reached is None else "yes" if row.reached else "**no**"
        lines.append(f"| {row.what} | {row.target} | {row.measured} | {mark} |")
    return "\n".join([*lines, "", *_breakdown(r)]) + "\n"


def _breakdown(r: Results) -> Iterator[str]:
    if one := r.get("singles"):
        yield "CPU time of a single event by process (µs), where cores are what limits:"
        yield ""
        names = list(one["cpu_us"])
        yield "| load | " + " | ".join(names) + " | sum | events a commit |"
        yield "|---|" + "---:|" * (len(names) + 2)
        for label, key in (
            ("from the pool", "singles"),
            ("from all", "singles_uniform"),
            ("keyed", "singles_keyed"),
        ):
            if found := r.get(key):
                us = [found["cpu_us"][name] for name in names]
                yield (
                    f"| {label} | "
                    + " | ".join(f"{n:.0f}" for n in us)
                    + f" | {sum(us):.0f} | {found['batch_mean']:.1f} |"
                )
        yield ""
    if day := r.get("day_load"):
        function, fsync = day["function_us"], r["fsync_s"]
        yield (
            "What a rank update is made of at the day's load: the commit call to Redis and back takes "
            f"{_ms(day['call_mean_s'])} of the mean of {_ms(day['rank_mean_s'])} (p50 {_ms(day['call_p50_s'])}, "
            f"p99 {_ms(day['call_p99_s'])}); of it the function itself p50 {function.get('p50', 0):.0f} µs, p99 "
            f"{function.get('p99', 0):.0f} µs for {day['batch_mean']:.1f} events a call, and the append-only "
            f"file's sync (a 4 KB append and fdatasync with nothing else running: p50 {fsync[0] * 1e6:.0f} µs, "
            f"p99 {fsync[1] * 1e6:.0f} µs). What is above the call is waiting for the previous call, "
            f"the rules in Python, and the event loop's other work. Cores in use: "
            + ", ".join(f"{name} {cores:.2f}" for name, cores in day["cores"].items())
            + "."
        )
        yield ""
        yield (
            "Rank update quantiles are interpolated within the buckets of the histogram "
            "`podium_rank_update_seconds` (0.5, 1, 1.5, 2, 3, 4, 6 ms, …), from a scrape before and one "
            "after; the shares are exact."
        )


def section(r: Results, name: str) -> str:
    """One section of the page; its pictures are ``name``-throughput.svg and ``name``-flush-lag.svg beside it."""
    pictures_ = (
        ""
        if is_live(r)
        else f"\n![Events a second]({name}-throughput.svg)\n\n![Flush lag]({name}-flush-lag.svg)\n"
    )
    return f"""{_heading(is_live(r))}Measured by `{r["command"]}` in one run.

{markdown(r)}{pictures_}"""


def _heading(live: bool) -> str:
    return f"## {TITLES[live]}\n\n"


PREAMBLE = """\
# Performance

[loadtest/README.md](../loadtest/README.md) explains each row. Each section with targets is one run,
written by the command that it names, never by hand. **no** marks a target that was missed.

"""


def page(r: Results, name: str, before: str) -> str:
    """docs/performance.md: this run's section is new, the other stays as the page had it ``before``."""
    found = {is_live(r): section(r, name)}
    _, found_, rest = before.partition(_heading(not is_live(r)))
    if found_:
        found[not is_live(r)] = found_ + rest.partition(_heading(is_live(r)))[0].strip() + "\n"
    return PREAMBLE + "\n".join(found[live] for live in sorted(found))


def write(r: Results, path: Path) -> None:
    """The run's section of the page, and its pictures."""
    path.write_text(page(r, path.stem, path.read_text() if path.exists() else ""))
    if is_live(r):
        return
    named = (
        ("singles", "single events", RATE),
        ("singles_uniform", "… all users", None),
        ("singles_keyed", "… with keys", None),
        ("batches", "batches of 1,000", BATCH_RATE),
    )
    bars = [(label, r[key]["rate"], aim) for key, label, aim in named if key in r]
    folder = path.parent
    if bars:
        title = "Events a second (dashed: target)"
        (folder / f"{path.stem}-throughput.svg").write_text(pictures.bars(title, bars))
    if day := r.get("day_load"):
        title = f"Flush lag at {day['rate']:,.0f} events/s (dashed: limit)"
        picture = pictures.line(title, day["lag_points"], STEADY_LAG_S, "s")
        (folder / f"{path.stem}-flush-lag.svg").write_text(picture)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _faults(numbers: dict[str, Any]) -> str:
    faults = [f"{numbers[kind]} {kind}" for kind in ("refused", "unknown") if numbers[kind]]
    return f" ({', '.join(faults)} requests)" if faults else ""


@click.command()
@click.argument("results", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--write", "target", type=click.Path(path_type=Path, dir_okay=False), help="The page to write.")
def main(results: Path, target: Path | None) -> None:
    """Print the table of an earlier run, or write its page."""
    found = orjson.loads(results.read_bytes())
    click.echo(markdown(found))
    if target is not None:
        write(found, target)


if __name__ == "__main__":
    main()
