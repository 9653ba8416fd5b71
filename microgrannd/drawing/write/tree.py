"""A picture as text: a tree that hangs from the outputs; what is shared is spelled out once."""

from typing import Final

from microgrannd.drawing.picture.picture import Box, Picture, plural

LINES: Final = 60
DEEP: Final = 24


def tree(picture: Picture) -> str:
    parents: list[list[int]] = [[] for _ in picture.nodes]
    used = [False] * len(picture.nodes)
    for edge in picture.edges:
        parents[edge.target].append(edge.source)
        used[edge.source] = True
    starts = [i for i in range(len(picture.nodes)) if picture.nodes[i].output or not used[i]]
    lines: list[str] = []
    seen: set[int] = set()
    stack = [(i, "", "") for i in reversed(starts)]
    while stack and len(lines) < LINES:
        node, first, indent = stack.pop()
        again = node in seen and bool(parents[node] or used[node])
        seen.add(node)
        below = [] if again else parents[node][:LINES]
        if below and len(indent) >= 3 * DEEP:
            lines.append(f"{first}{_line(picture.nodes[node])} …")
            continue
        box = picture.nodes[node]
        name = box.label or " ".join(filter(None, (box.gate, box.value))) or box.id
        lines.append(first + (f"{name}, as above" if again else _line(box)))
        for k in range(len(below) - 1, -1, -1):
            last = k == len(below) - 1
            stack.append((below[k], indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")))
    if stack:
        lines.append(f"… {plural(len(picture.nodes), 'node')} in all")
    return "\n".join([*lines, *([picture.caption] if picture.caption else [])])


def _line(node: Box) -> str:
    words = " ".join(filter(None, (node.gate, node.label, node.value, " · ".join(node.notes))))
    return f"{words} (∇ {node.gradient})" if node.gradient else words
