"""A folded drawing as a page in which its boxes open: the player's, without a pass to play."""

from typing import Any

from microgrannd.drawing.picture.picture import Picture, Unfolding
from microgrannd.drawing.player.network import columns
from microgrannd.drawing.player.page import in_json, page_of
from microgrannd.drawing.player.rows import printed_rows
from microgrannd.engine import Value


def unfolding_page(drawn: Picture, unfolds: Unfolding, svg: str, rankdir: str) -> str:
    """The page of a folded picture; `svg` is what is seen where no script runs."""
    order, rows = drawn.values, printed_rows(drawn.values)
    data = {
        "title": drawn.title,
        "rows": rows.shown,
        "network": columns(order, rows.of_node, unfolds.backward),
        "passes": [_numbers(order, unfolds)],
        "still": _still(order, unfolds, rankdir),
        **{"strange": [], "words": {}, "derivations": {}, "losses": []},
    }
    return page_of(drawn.title, svg, data)


def _numbers(order: list[Value], unfolds: Unfolding) -> dict[str, Any]:
    """The numbers as they are, those that the drawing shows."""
    shown = unfolds.detail
    return {
        "values": [in_json(node.data) if shown.values or node.is_constant else None for node in order],
        "gradients": [in_json(node.grad) if shown.gradients and not node.is_constant else None for node in order],
        **{"upstream": 1.0, "updates": [], "remarks": [], "local_gradients": []},
    }


def _still(order: list[Value], unfolds: Unfolding, rankdir: str) -> dict[str, Any]:
    roots, highlighted = set(unfolds.roots), unfolds.detail.highlight
    places = {
        "outputs": [i for i, node in enumerate(order) if node in roots],
        "highlighted": [i for i, node in enumerate(order) if node in highlighted],
        "backward": [i for i, node in enumerate(order) if node in unfolds.backward],
    }
    return {"depth": unfolds.depth, "precision": unfolds.detail.precision, "rankdir": rankdir, **places}
