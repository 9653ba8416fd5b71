"""A page of the player's: style, scripts and data in one document that needs nothing else and allows nothing else."""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from microgrannd.drawing.write import svg
from microgrannd.printing.labels import in_markup, in_script

SCRIPTS: Final = (
    *("page", "numbers", "paths", "engine", "remarks", "layout", "network", "graph", "unfolded", "panel", "motion"),
    *("selection", "derivation", "prediction", "mistakes", "live", "search", "player"),
)


def page_of(title: str, picture: str, data: dict[str, Any], rows: str = "const ROWS = [];") -> str:
    """The document: `picture` is what is seen where no script runs, `rows` defines the operations in JavaScript."""
    style = asset("player.css")
    script = "\n".join(['"use strict";', rows, *[asset(f"{name}.js") for name in SCRIPTS]])
    policy = (
        f"default-src 'none'; script-src {hashed(script)}; style-src {hashed(style)} {hashed(svg.stylesheet())}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": in_markup(title),
        "style": style,
        "picture": picture,
        "data": in_page(data),
        "script": script,
    }
    # In one pass, so that nothing that was filled in is searched again.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], asset("player.html"))


def in_page(data: Any) -> str:
    """JSON that may stand in a `<script>`."""
    return in_script(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def in_json(x: Any) -> Any:
    """JSON has no NaN and no infinities: they are the strings "nan", "inf" and "-inf"."""
    return repr(x) if x.__class__ is float and not math.isfinite(x) else x


def asset(name: str) -> str:
    """A file of the page."""
    return files("microgrannd.drawing.player").joinpath("page", name).read_text("utf-8")


def hashed(text: str) -> str:
    """A script or a style as a content security policy names it."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
