"""What the rounds came to, as Markdown."""

from __future__ import annotations

from tests.chaos.faults import KINDS
from tests.chaos.load import SILENCE_S
from tests.chaos.rounds import Totals

KEPT, LOST, CALM = "Redis keeps its file", "Redis goes back in time, or loses its file", "No fault"


def report(sections: dict[str, Totals], command: str, about: str) -> str:
    """The report of some sections by title."""
    lines = [f"`{command}`, {about}.", ""]
    shown = {title: totals for title, totals in sections.items() if totals.rounds}
    lines += ["| | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
    rows = {
        "minutes": [f"{totals.seconds / 60:.0f}" for totals in shown.values()],
        "faults": [f"{totals.faults.total():,}" for totals in shown.values()],
        "acknowledged events": [f"{totals.acknowledged:,}" for totals in shown.values()],
        "lost": [f"{totals.lost:,}" for totals in shown.values()],
        "not flushed when Redis lost them, and lost": [
            f"{totals.lost_as_allowed:,} of {totals.unflushed:,}" for totals in shown.values()
        ],
        "counted twice": [f"{totals.doubled:,}" for totals in shown.values()],
        "answers 500": [f"{totals.ours:,}" for totals in shown.values()],
        "answers 503": [f"{totals.statuses[503]:,}" for totals in shown.values()],
        "rebuilds, and how often one seemed to be needed": [
            f"{totals.alarms['space_rebuilt']:,}, {totals.alarms['rebuild_needed']:,}" for totals in shown.values()
        ],
        "users stuck": [f"{totals.stuck:,}" for totals in shown.values()],
        "other findings": [f"{len(totals.findings):,}" for totals in shown.values()],
    }
    lines += [f"| {name} | " + " | ".join(values) + " |" for name, values in rows.items()]
    for title, totals in shown.items():
        if not totals.faults:
            continue
        lines += ["", f"{title}:", "", "| fault | times | longest silence (s) |", "|---|---|---|"]
        lines += [
            f"| {kind} | {totals.faults[kind]:,} | {_silence(totals, kind)} |"
            for kind in KINDS
            if totals.faults[kind]
        ]
    for title, totals in shown.items():
        if totals.findings:
            lines += ["", f"Found ({title}):", "", *(f"- {finding}" for finding in totals.findings)]
        if totals.harness:
            lines += [
                "",
                f"The harness failed, not Podium ({title}):",
                "",
                *(f"- {one}" for one in totals.harness),
            ]
        if totals.explained:
            said = ", ".join(f"{event} {count}" for event, count in totals.explained.most_common())
            lines += ["", f"Logged as errors, and explained by a fault ({title}): {said}."]
    return "\n".join(lines) + "\n"


def _silence(totals: Totals, kind: str) -> str:
    longest_s = totals.silence_s.get(kind, 0)
    return f"{longest_s:.1f}" if longest_s else f"under {SILENCE_S}"
