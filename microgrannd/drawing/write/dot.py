"""The same picture for Graphviz: `.dot` text, which needs nothing, and the hand-off to an installed Graphviz."""

from typing import Final

from microgrannd.drawing.picture.picture import Box, Picture
from microgrannd.drawing.write import svg
from microgrannd.ground.errors import LayoutError
from microgrannd.printing.labels import in_dot

_STYLES: Final = {
    "leaf": 'style="rounded,filled", color="#0072b2", fillcolor="#e3f2fd"',
    "constant": 'style="rounded,dotted", color="#94a3b8", fontcolor="#526075"',
    "operation": 'style="rounded,filled", color="#64748b", fillcolor="#ffffff"',
    "fold": 'style="filled", color="#64748b", fillcolor="#f1f5f9", peripheries=2',
    "gradient": 'style="filled", shape=octagon, color="#b93a04", fillcolor="#fff4ec"',
}


def dot_text(picture: Picture, rankdir: str) -> str:
    lines = [
        f"digraph {in_dot(picture.title)} {{",
        f'  rankdir={rankdir}; bgcolor="#fcfcfd";',
        '  node [shape=box, fontname="Helvetica", fontsize=11, margin="0.12,0.05"];',
        '  edge [color="#7b8799", arrowsize=0.6];',
    ]
    lines += [f"  {node.id} [{_attributes(node)}];" for node in picture.nodes]
    for edge in picture.edges:
        source, target = picture.nodes[edge.source].id, picture.nodes[edge.target].id
        attributes = [f"penwidth={1 + 2 * edge.strength:.1f}"] if edge.strength else []
        attributes += ["style=dotted"] if edge.idle else ["style=dashed"] if edge.kind == "used" else []
        attributes += [f"label={in_dot(edge.rule)}, fontsize=10"] if edge.rule else []
        lines.append(f"  {source} -> {target}" + (f" [{', '.join(attributes)}];" if attributes else ";"))
    return "\n".join([*lines, "}", ""])


def render(text: str, kind: str) -> bytes:
    """The `.dot` text laid out by Graphviz: svg, png, pdf. Raises LayoutError where it is missing or fails."""
    try:
        import graphviz
    except ModuleNotFoundError:
        raise LayoutError('layout="dot" needs the graphviz package: pip install graphviz') from None
    try:
        return graphviz.Source(text, engine="dot").pipe(format=kind)  # type: ignore[no-any-return]
    except graphviz.ExecutableNotFound:
        raise LayoutError(
            'layout="dot" needs Graphviz, and its program `dot` is not on the PATH: install it with '
            "`apt install graphviz`, `brew install graphviz`, `conda install graphviz` or from "
            'https://graphviz.org/download. Without it, layout="layered" draws the same graph as SVG, and '
            ".dot gives the text for another machine."
        ) from None
    except graphviz.CalledProcessError as error:
        raise LayoutError(f"Graphviz could not lay the graph out: {error}") from error


def _attributes(node: Box) -> str:
    first = " ".join(filter(None, (node.gate, node.label, node.value)))
    rows = [first, f"∇ {node.gradient}" if node.gradient else "", *node.notes]
    across, down = svg.size(node)
    weight = ", penwidth=2, peripheries=2" if node.output else ", penwidth=3" if node.highlighted else ""
    return (
        f"label={in_dot(*filter(None, rows))}, tooltip={in_dot(node.title)}, "
        f"width={across / 72:.3f}, height={down / 72:.3f}, {_STYLES[node.kind]}{weight}"
    )
