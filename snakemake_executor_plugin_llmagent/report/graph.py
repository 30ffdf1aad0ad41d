"""Where the rules of a workflow stand in a drawing: layers from the first to the last, few crossings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 156, 38
GAP, LAYER_GAP, PASSING = 18, 34, 14
"""Sizes [px]: of a box, between boxes and layers, and of the way that a long line takes through a layer."""
SWEEPS = 6
MARGIN = 6


@dataclass(frozen=True)
class Box:
    """A rule: its left upper corner [px]."""

    name: str
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """Boxes, the paths of the lines between them, and the size of the whole [px]."""

    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    width: float
    height: float


def draw(needs: Mapping[str, Sequence[str]]) -> Drawing:
    """Draw rules, given each one's predecessors; an order in a circle is not drawn twice."""
    before = {name: [other for other in found if other in needs and other != name] for name, found in needs.items()}
    depth = _lowered(before, _depths(before))
    layers, links = _with_passages(needs, depth, _reduced(before, depth))
    _untangle(layers, links)
    places = _places(layers, links)
    boxes = tuple(Box(name, *places[name]) for name in needs)
    lines = tuple(_line([places[each] for each in way], way) for way in links)
    width = max((x + _width(node) for node, (x, _) in places.items()), default=0) + MARGIN
    height = len(layers) * (HEIGHT + LAYER_GAP) - LAYER_GAP + 2 * MARGIN if layers else 0
    return Drawing(boxes, lines, width, height)


def _depths(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The longest way to each rule."""
    depth: dict[str, int] = dict.fromkeys(needs, 0)
    for _ in needs:
        changed = False
        for name, before in needs.items():
            lowest = max((depth[other] + 1 for other in before), default=0)
            if lowest > depth[name] and lowest < len(needs):
                depth[name], changed = lowest, True
        if not changed:
            break
    return depth


def _lowered(needs: Mapping[str, Sequence[str]], depth: Mapping[str, int]) -> dict[str, int]:
    """The same with rules that need nothing just above the first that needs them, which saves long lines."""
    first: dict[str, int] = {}
    for name, before in needs.items():
        for other in before:
            first[other] = min(depth[name], first.get(other, depth[name]))
    low = {name: max(deep, first[name] - 1) if not needs[name] and name in first else deep
           for name, deep in depth.items()}  # fmt: skip
    used = sorted(set(low.values()))  # rules that need each other in a circle leave layers empty
    return {name: used.index(deep) for name, deep in low.items()}


def _reduced(needs: Mapping[str, Sequence[str]], depth: Mapping[str, int]) -> list[tuple[str, str]]:
    """The lines that are needed: none where another way leads there too."""
    above: dict[str, set[str]] = {}
    found = []
    for name in sorted(needs, key=lambda name: depth[name]):
        direct = [other for other in needs[name] if depth[other] < depth[name]]
        above[name] = set(direct).union(*(above.get(other, set()) for other in direct))
        found += [(other, name) for other in direct if not any(other in above[third] for third in direct)]
    return found


_Node = str | tuple[int, int]
"""A rule, or the passage of a line (its number) through a layer."""


def _with_passages(
    needs: Iterable[str], depth: Mapping[str, int], edges: Sequence[tuple[str, str]]
) -> tuple[list[list[_Node]], list[list[_Node]]]:
    layers: list[list[_Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in needs:
        layers[depth[name]].append(name)
    links: list[list[_Node]] = []
    for number, (start, end) in enumerate(edges):
        passages: list[_Node] = [(number, layer) for layer in range(depth[start] + 1, depth[end])]
        for passage, layer in zip(passages, range(depth[start] + 1, depth[end]), strict=True):
            layers[layer].append(passage)
        links.append([start, *passages, end])
    return layers, links


def _untangle(layers: list[list[_Node]], links: Sequence[Sequence[_Node]]) -> None:
    """Order each layer by where its neighbours stand, down and up again."""
    up: dict[_Node, list[_Node]] = {}
    down: dict[_Node, list[_Node]] = {}
    for way in links:
        for upper, lower in pairwise(way):
            up.setdefault(lower, []).append(upper)
            down.setdefault(upper, []).append(lower)
    for sweep in range(SWEEPS):
        neighbours = up if sweep % 2 == 0 else down
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            at = {node: _middle(index, len(row)) for row in layers for index, node in enumerate(row)}
            centre = {node: sum(at[n] for n in near) / len(near) for node in layer if (near := neighbours.get(node))}
            layer.sort(key=lambda node: centre.get(node, at[node]))


def _middle(index: int, count: int) -> float:
    return (index + 0.5) / count


def _places(layers: Sequence[Sequence[_Node]], links: Sequence[Sequence[_Node]]) -> dict[_Node, tuple[float, float]]:
    """Left upper corners: each node as near to its neighbours as the order of its layer and the room allow."""
    near: dict[_Node, list[_Node]] = {}
    for way in links:
        for upper, lower in pairwise(way):
            near.setdefault(upper, []).append(lower)
            near.setdefault(lower, []).append(upper)
    offsets = [_offsets(layer) for layer in layers]
    centre = {
        node: offset - row[-1] / 2
        for layer, row in zip(layers, offsets, strict=True)
        for node, offset in zip(layer, row, strict=True)
    }
    for sweep in range(2 * SWEEPS):
        rows = list(zip(layers, offsets, strict=True))
        for layer, row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [sum(centre[n] for n in near.get(node, [node])) / len(near.get(node, [node])) for node in layer]
            for node, place, offset in zip(
                layer, _rising([w - o for w, o in zip(wanted, row, strict=True)]), row, strict=True
            ):
                centre[node] = place + offset
    left = min((middle - _width(node) / 2 for node, middle in centre.items()), default=0.0) - MARGIN
    return {
        node: (round(centre[node] - _width(node) / 2 - left, 1), float(MARGIN + number * (HEIGHT + LAYER_GAP)))
        for number, layer in enumerate(layers)
        for node in layer
    }


def _offsets(layer: Sequence[_Node]) -> list[float]:
    """How far right of the first one's centre each one's may be at least."""
    found = [0.0]
    for before, node in pairwise(layer):
        found.append(found[-1] + (_width(before) + _width(node)) / 2 + GAP)
    return found[: len(layer)] or [0.0]


def _rising(wanted: Sequence[float]) -> list[float]:
    """Numbers that never fall, as near to the wanted ones as can be (least squares)."""
    pools: list[tuple[float, int]] = []
    for value in wanted:
        total, count = value, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    return [total / count for total, count in pools for _ in range(count)]


def _width(node: _Node) -> float:
    return WIDTH if isinstance(node, str) else PASSING


def _line(corners: Sequence[tuple[float, float]], way: Sequence[_Node]) -> str:
    """A line from the lower side of the first box to the upper side of the last, as SVG draws it."""
    middles = [(x + _width(node) / 2, y) for (x, y), node in zip(corners, way, strict=True)]
    x, y = middles[0][0], middles[0][1] + HEIGHT
    parts = [f"M{x:g} {y:g}"]
    for index, (next_x, top) in enumerate(middles[1:], start=1):
        half = (top - y) / 2
        parts.append(f"C{x:g} {y + half:g} {next_x:g} {top - half:g} {next_x:g} {top:g}")
        x, y = next_x, top
        if index < len(middles) - 1:
            y = top + HEIGHT
            parts.append(f"V{y:g}")
    return "".join(parts)
