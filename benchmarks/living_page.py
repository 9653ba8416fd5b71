"""The living page in headless Chromium: its size, its first paint, an input, a network of 100,000 nodes unfolded.

`python -m benchmarks.living_page` prints the figures; the limits are those of the player's issue.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.workloads.player import SWITCHES
from microgrannd import Value, step, topological_order
from microgrannd import sum as total
from microgrannd.nn import MLP

PAINT = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
OPENED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
# Typed numbers, each with both passes, and with the styles and the layout that it leads to.
INPUTS = """
go(timeline.length);
const field = fields.get(leaves[0]), times = [];
for (let k = 0; k < 40; k++) {
  field.value = String(0.1 + k / 50);
  const start = performance.now();
  field.dispatchEvent(new Event('input', {bubbles: true}));
  document.body.getBoundingClientRect();
  times.push(performance.now() - start);
}
return times;
"""
UNFOLDED = """
const times = [];
for (let k = 0; k < 8; k++) {
  const {group} = shownFolds[(3 * k) % shownFolds.length];
  const start = performance.now();
  unfold(group);
  document.body.getBoundingClientRect();
  times.push(performance.now() - start);
  foldLast();
}
return times;
"""


def network(sizes: list[int], inputs: list[Any]) -> Value:
    """The loss of a network."""
    out = MLP(len(inputs), sizes, activation="tanh", seed=0)(inputs)
    loss: Value = (total(out if isinstance(out, list) else [out]) - 1) ** 2
    return loss


def figures(browser: Any, path: Path) -> Iterator[str]:
    """The figures, line by line."""
    inputs = [Value(0.1 * i, label=f"x{i}") for i in range(8)]
    graphs: dict[str, tuple[Callable[[], Value], str]] = {
        "small": (lambda: network([4, 1], inputs), INPUTS),
        "1,500 nodes": (lambda: network([50, 20, 1], inputs), INPUTS),
        "100,000 nodes": (lambda: network([126, 10], [0.1] * 784), UNFOLDED),
    }
    for name, (build, script) in graphs.items():
        y = build()
        start = time.process_time()
        step(y).save(path)
        seconds = time.process_time() - start
        paints = []
        for _ in range(5):
            browser.get(path.as_uri())
            while (at := browser.execute_script(PAINT)) is None:
                time.sleep(0.05)
            paints.append(float(at))
        opened, times = browser.execute_script(OPENED), browser.execute_script(script)
        yield (
            f"{name}: {len(topological_order(y)):,} nodes; recorded and written in {seconds:.2f} s of processor time; "
            f"{path.stat().st_size / 1e3:,.0f} kB; first paint {statistics.median(paints):.0f} ms "
            f"(least {min(paints):.0f}); open after {opened:.0f} ms; "
            f"{'an unfolding' if script is UNFOLDED else 'an input'} {statistics.median(times):.1f} ms "
            f"(least {min(times):.1f})"
        )


def main() -> None:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    with tempfile.TemporaryDirectory() as folder:
        for switch in (*SWITCHES.split(), f"--user-data-dir={folder}/profile"):
            options.add_argument(switch)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
        try:
            for line in figures(browser, Path(folder) / "page.html"):
                print(line)
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
