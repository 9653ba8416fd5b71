"""The step player of a 400-node graph: the size of its page, its first paint, a step, in headless Chromium."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.harness import OURS, installed, print_rows, row
from microgrannd import step, topological_order
from microgrannd.engine import Value
from microgrannd.nn import MLP

NAME = "player"
SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1280,800"
)
# A step is timed with the styles and the layout that it leads to; painting it shows in the pace of frames.
STEPS = """
const times = [];
for (let k = 0; k < timeline.length; k++) {
  const start = performance.now();
  go(k + 1, true);
  document.body.getBoundingClientRect();
  times.push(performance.now() - start);
}
return times;
"""
FRAMES = """
const done = arguments[0];
const gaps = [];
let last = 0;
go(0);
function frame(now) {
  if (last) gaps.push(now - last);
  last = now;
  go(position + 1, true);
  if (gaps.length < 300) requestAnimationFrame(frame);
  else done(gaps);
}
requestAnimationFrame(frame);
"""


def run() -> list[dict[str, Any]]:
    """The rows; without Chromium only the size and the time to write the page."""
    loss = graph()
    nodes = len(topological_order(loss))
    seconds = []
    for _ in range(1 if harness.smoke else 5):
        start = harness.now()
        page = step(loss).html
        seconds.append(harness.now() - start)
    note = f"{nodes} nodes"
    rows = [
        row(NAME, OURS, "size of the page (limit 1000)", len(page.encode()) / 1e3, "kB", note),
        row(NAME, OURS, "recording and writing it", harness.typical(seconds) * 1e3, "ms", note),
    ]
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver and installed("selenium")):
        print("Chromium, its driver or selenium is not installed: skipped", file=sys.stderr)
        return rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "player.html"
        path.write_text(page, encoding="utf-8")
        paints, steps, frames = in_browser(path, chromium, driver, folder)
    return [
        *rows,
        row(NAME, OURS, "first paint (limit 1000)", statistics.median(paints), "ms", f"of {len(paints)} loads"),
        row(NAME, OURS, "a step, median (limit 16)", statistics.median(steps), "ms", f"of {len(steps)}"),
        row(NAME, OURS, "a step, slowest in a hundred", sorted(steps)[-max(1, len(steps) // 100)], "ms"),
        row(NAME, OURS, "between frames, a step in each", statistics.median(frames), "ms", "16.7 is the screen's own"),
    ]


def graph() -> Value:
    """The loss of a small network of single multiplies and adds, about 400 nodes."""
    model = MLP(4, [9, 8, 1], activation="tanh", seed=0, expand=True)
    return (model([0.5, -1.0, 2.0, 0.25]) - 1) ** 2  # type: ignore[no-any-return]


def in_browser(path: Path, chromium: str, driver: str, folder: str) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of first paints, of steps, and between frames."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in (*SWITCHES.split(), f"--user-data-dir={folder}/profile"):
        options.add_argument(switch)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        paints = []
        for _ in range(1 if harness.smoke else 5):
            browser.get(path.as_uri())
            paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            while (at := browser.execute_script(paint)) is None:
                time.sleep(0.05)
            paints.append(float(at))
        steps = browser.execute_script(STEPS)
        frames = browser.execute_async_script(FRAMES)
    finally:
        browser.quit()
    return paints, steps, frames


if __name__ == "__main__":
    print_rows(run())
