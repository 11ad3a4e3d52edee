"""Names of items without keys, and the order of creation of items that refer to each other. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple


class Handle(NamedTuple):
    """The name of an item in a document. ``own`` is True for a key, which is unique."""

    text: str
    own: bool = False


class Pairs(NamedTuple):
    """The items of a document, matched with the items of the catalog.

    For each item of the document ``names`` has its unique name, and ``at`` the index of the catalog's item that it
    matches, or None if it is new. ``rest`` has names and indices of catalog items that the document doesn't have.
    """

    names: list[str]
    at: list[int | None]
    rest: list[tuple[str, int]]


def paired(wanted: Sequence[Handle], there: Sequence[Handle]) -> Pairs:
    """Match items by name. Of several with one name the first matches the first, the second the second, …"""
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
    """Return unique names: the second item with a name gets ``#2`` appended, or the next number that is free.

    A name that equals another item's key gets a number too.
    """
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
    """The result of a topological sort.

    ``stuck`` are places without an order, which are in a cycle or depend on one. ``circle`` is one such cycle,
    with its first place repeated at the end.
    """

    order: list[int]
    stuck: list[int]
    circle: list[int]


def ordered(count: int, needs: Mapping[int, Iterable[int]]) -> Order:
    """Return the places 0 to ``count`` - 1, each after those that it needs, otherwise in their order."""
    sorter = TopologicalSorter({place: needs.get(place, ()) for place in range(count)})
    circle: list[int] = []
    try:
        sorter.prepare()
    except CycleError as error:  # the sorter still yields all places that depend on no cycle
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
