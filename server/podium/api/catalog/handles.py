"""What a document calls items that have no key, and in which order those that name each other are made."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple


class Handle(NamedTuple):
    """What an item is called; ``own`` is a key, which nobody else has."""

    text: str
    own: bool = False


class Pairs(NamedTuple):
    """Items of a document beside those that are there.

    For each of the document ``names`` is what it is called, once, and ``at`` the place of the one that it
    means, None where it is new; ``rest`` are names and places of those that the document doesn't have.
    """

    names: list[str]
    at: list[int | None]
    rest: list[tuple[str, int]]


def paired(wanted: Sequence[Handle], there: Sequence[Handle]) -> Pairs:
    """The second of equals in the document is the second of those that are there."""
    places = {one: at for at, one in enumerate(_counted(there))}
    names = _numbered(wanted)
    at = [places.pop(one, None) for one in _counted(wanted)]
    rest = list(places.values())
    return Pairs(names, at, list(zip(_numbered([there[one] for one in rest], names), rest, strict=True)))


def _counted(handles: Iterable[Handle]) -> list[tuple[Handle, int]]:
    seen: dict[Handle, int] = {}
    found = []
    for handle in handles:
        seen[handle] = seen.get(handle, 0) + 1
        found.append((handle, seen[handle]))
    return found


def _numbered(handles: Sequence[Handle], taken: Collection[str] = ()) -> list[str]:
    """The handles, each once: the second of equals has #2 behind it, or the next number with which it is not
    what another is called. A name that is another's key has a number, too."""
    keys = {handle.text for handle in handles if handle.own}
    own = {handle.text for handle in handles}
    used = set(taken)
    last: dict[Handle, int] = {}
    found = []
    for handle in handles:
        number = last.get(handle, 0) + 1
        if number == 1 and not handle.own and handle.text in keys:
            number = 2
        name = handle.text if number == 1 else f"{handle.text}#{number}"
        while name in used or (number > 1 and name in own):
            number += 1
            name = f"{handle.text}#{number}"
        last[handle] = number
        used.add(name)
        found.append(name)
    return found


class Order(NamedTuple):
    """Places in an order; ``stuck`` can't be brought into one: they are in a circle or need what is in one.
    ``circle`` is one, its first place again at its end."""

    order: list[int]
    stuck: list[int]
    circle: list[int]


def ordered(count: int, needs: Mapping[int, Iterable[int]]) -> Order:
    """The places 0 to ``count`` - 1, each after those that it needs, otherwise as they are."""
    sorter = TopologicalSorter({place: needs.get(place, ()) for place in range(count)})
    circle: list[int] = []
    try:
        sorter.prepare()
    except CycleError as error:  # the sorter still gives all that no circle holds back
        circle = error.args[1][::-1]
    ready = list(sorter.get_ready())
    heapq.heapify(ready)
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        sorter.done(order[-1])
        for place in sorter.get_ready():
            heapq.heappush(ready, place)
    done = set(order)
    return Order(order, [place for place in range(count) if place not in done], circle)
