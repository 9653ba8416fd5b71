"""What the notebooks carry: the outputs of a run, pictures as PNG, so that GitHub and an editor show the pictures too.

Where scripts are taken out a page is of no use, so a drawing is kept as the picture of it, and a player as a picture of
its page at the end of the steps. An SVG would be smaller, but its style sheet is taken out, too.
"""

import hashlib
import html
import json
import re
import shutil
import time
from base64 import b64decode, b64encode
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from docs.build_book import executed

COLOURS = 96  # of a picture: enough for letters that are smoothed
WIDEST = 1600  # pixels; a wider drawing is shrunk
PLAYER = (960, 640)
SWITCHES = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --disable-dev-shm-usage"


def store_all(notebooks: list[Path]) -> None:
    """Run each notebook and write its outputs into it."""
    with photographer() as picture:
        for path in notebooks:
            store(path, picture)
            print(f"  {path.stem}", flush=True)


def store(path: Path, picture: Any) -> None:
    """Run a notebook and write its outputs into it, all else as it is."""
    ran = executed(path)
    notebook = json.loads(path.read_text("utf-8"))
    for number, (cell, source) in enumerate(
        ((cell, ran.cells[i]) for i, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"), 1
    ):
        cell["execution_count"] = number
        cell["outputs"] = [kept(output, number, picture) for output in source.outputs]
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


def kept(output: Any, number: int, picture: Any) -> dict[str, Any]:
    """An output as it is stored: text as it is, and all else as a picture of it."""
    if output.output_type == "stream":
        return {"name": output.name, "output_type": "stream", "text": output.text.splitlines(keepends=True)}
    data = {kind: content for kind, content in output.data.items() if kind in ("text/plain", "text/latex")}
    data = {kind: content.splitlines(keepends=True) for kind, content in data.items()}
    metadata: dict[str, Any] = {}
    if page := player_of(output.data):
        data["image/png"] = picture(page, PLAYER)
    elif svg := drawing_of(output.data):
        data["image/png"] = picture(svg)
        if "text/html" in output.data:  # a drawing of ours, which is the same wherever it is made
            metadata["drawing"] = digest(svg)
    found = {"data": dict(sorted(data.items())), "metadata": metadata, "output_type": output.output_type}
    return {"execution_count": number, **found} if output.output_type == "execute_result" else found


def player_of(data: Any) -> str | None:
    """The page of a player, if that is what a bundle shows."""
    match = re.search(r'<iframe [^>]*srcdoc="([^"]*)"', data.get("text/html", ""))
    return html.unescape(match[1]) if match else None


def drawing_of(data: Any) -> str | None:
    """The SVG that a bundle shows."""
    if "image/svg+xml" in data:
        return str(data["image/svg+xml"])
    match = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', data.get("text/html", ""))
    return b64decode(match[1]).decode() if match else None


def digest(svg: str) -> str:
    """By which a test finds a stored picture that is not that of today's drawing."""
    return hashlib.sha256(svg.encode()).hexdigest()[:16]


@contextmanager
def photographer() -> Any:
    """A function that gives the picture of a page or an SVG, as a PNG in base64."""
    from selenium import webdriver

    with TemporaryDirectory() as folder:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        for switch in [*SWITCHES.split(), f"--user-data-dir={folder}/profile"]:
            options.add_argument(switch)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))

        def picture(text: str, size: tuple[int, int] | None = None) -> str:
            file = Path(folder, "page.html" if size else "drawing.html")
            width, height = size or size_of(text)
            frame = f'<!doctype html><body style="margin:0;background:#fff"><div style="width:{width}px">{text}</div>'
            file.write_text(text if size else re.sub(r"<\?xml.*?\?>|<!DOCTYPE svg.*?>", "", frame), "utf-8")
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1.25, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            driver.get(file.as_uri())
            if size:
                driver.execute_script("document.getElementById('last').click()")
                time.sleep(1.5)  # while what moves comes to rest
                driver.execute_script("document.getElementById('panel').scrollTop = 0")
            return small(b64decode(driver.get_screenshot_as_base64()))

        try:
            yield picture
        finally:
            driver.quit()


def size_of(svg: str) -> tuple[int, int]:
    """Of an SVG, in pixels."""
    unit = {"pt": 4 / 3}
    sizes = [re.search(rf'<svg [^>]*?\b{name}="([\d.]+)(\w*)"', svg, re.DOTALL) for name in ("width", "height")]
    width, height = (float(found[1]) * unit.get(found[2], 1) if found else 600 for found in sizes)
    return round(width + 1), round(height + 1)


def small(png: bytes) -> str:
    """The picture with a palette, and no wider than `WIDEST`; in base64."""
    from PIL import Image

    image = Image.open(BytesIO(png)).convert("RGB")
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.LANCZOS)
    file = BytesIO()
    image.quantize(COLOURS).save(file, "png", optimize=True)
    return b64encode(file.getvalue()).decode()
