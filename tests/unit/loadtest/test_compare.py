"""Ratios of a comparison."""

from __future__ import annotations

from loadtest.compare import add_batches_by_singles, ratios, table

ROUNDS = [
    {
        "this tree": {"events/s": 300.0, "rank": 1.0},
        "before": {"events/s": 200.0, "rank": 2.0},
        "twenty": {"events/s": 100.0},
    },
    {"this tree": {"events/s": 100.0, "rank": 4.0}, "before": {"events/s": 100.0, "rank": 2.0}, "twenty": {}},
]


def test_each_round_is_compared_with_itself() -> None:
    # 300 / 200 and 100 / 100; the mean of all figures would say 400 / 300.
    assert ratios(ROUNDS, "this tree", "before", "events/s") == [1.5, 1.0]


def test_a_side_without_the_figure_has_no_ratio() -> None:
    assert ratios(ROUNDS, "this tree", "twenty", "rank") == []
    assert ratios(ROUNDS, "this tree", "twenty", "events/s") == [3.0]


def test_the_table_shows_medians_and_the_spread_of_ratios() -> None:
    lines = table({"singles": ROUNDS}, ["this tree", "before", "twenty"]).splitlines()
    assert lines[2] == "| singles | events/s | 200 | 150 | 100 | **1.25** (1.00–1.50) | **3.00** (3.00–3.00) |"
    assert lines[3] == "| singles | rank | 2 | 2 |  | **1.25** (0.50–2.00) |  |"


def test_batches_are_set_beside_single_events_of_the_same_side_and_round() -> None:
    batches = [
        {"this tree": {"events/s": 600.0}, "twenty": {"events/s": 500.0}},
        {"this tree": {"events/s": 50.0}},
    ]
    add_batches_by_singles({"singles": ROUNDS, "batches": batches})
    assert batches[0]["this tree"]["% of singles"] == 200
    assert batches[0]["twenty"]["% of singles"] == 500
    assert batches[1]["this tree"]["% of singles"] == 50
