"""Topological order and cycles of a graph of numbers. Knows nothing of changes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Edges = dict[int, set[int]]  # place → the places before it


def sort(edges: Edges, keys: Sequence[Any]) -> list[int]:
    """Return the places of *edges* in an order that keeps them, the smallest key first where it is free."""
    waiting = {place: len(before) for place, before in edges.items()}
    followers: dict[int, list[int]] = {}
    for place, before in edges.items():
        for earlier in before:
            followers.setdefault(earlier, []).append(place)
    ready = [(keys[place], place) for place, count in waiting.items() if not count]
    heapq.heapify(ready)
    done = []
    while ready:
        _, place = heapq.heappop(ready)
        done.append(place)
        for follower in followers.get(place, ()):
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, (keys[follower], follower))
    return done


def cycles(edges: Edges) -> list[list[int]]:
    """Return the groups of places that wait for each other (strongly connected), each sorted.

    Works off what is free from both ends, then looks at the rest with Tarjan's algorithm.
    """
    rest = set(edges) - set(sort(edges, list(range(len(edges)))))
    if not rest:
        return []
    return _Tarjan({place: sorted(edges[place] & rest) for place in sorted(rest)}).run()


class _Tarjan:
    """Strongly connected components without recursion, so that a long chain cannot exhaust the stack."""

    def __init__(self, edges: Mapping[int, list[int]]) -> None:
        self.edges = edges
        self.index: dict[int, int] = {}
        self.low: dict[int, int] = {}
        self.stack: list[int] = []
        self.on_stack: set[int] = set()
        self.found: list[list[int]] = []

    def run(self) -> list[list[int]]:
        for place in self.edges:
            if place not in self.index:
                self._visit(place)
        return sorted(self.found)

    def _enter(self, place: int) -> tuple[int, Iterator[int]]:
        self.index[place] = self.low[place] = len(self.index)
        self.stack.append(place)
        self.on_stack.add(place)
        return place, iter(self.edges[place])

    def _visit(self, start: int) -> None:
        work = [self._enter(start)]
        while work:
            place, rest = work[-1]
            for other in rest:
                if other not in self.index:
                    work.append(self._enter(other))
                    break
                if other in self.on_stack:
                    self.low[place] = min(self.low[place], self.index[other])
            else:
                work.pop()
                if work:
                    self.low[work[-1][0]] = min(self.low[work[-1][0]], self.low[place])
                if self.low[place] == self.index[place]:
                    self._close(place)

    def _close(self, place: int) -> None:
        component = []
        while True:
            other = self.stack.pop()
            self.on_stack.discard(other)
            component.append(other)
            if other == place:
                break
        if len(component) > 1 or place in self.edges[place]:
            self.found.append(sorted(component))
