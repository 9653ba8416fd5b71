"""A page in headless Chromium, for tests: `Screen` presses, clicks and reads; the fixtures are in `conftest.py`."""

import json
import math
import shutil
import struct

import pytest

By = pytest.importorskip("selenium.webdriver.common.by").By

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and its driver")

SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --disable-dev-shm-usage"
)


class Screen:
    """A player that is open in the browser."""

    def __init__(self, browser, path, width=1280, height=800, address="", **features):
        self.browser = browser
        settings = {"prefers-color-scheme": "light", "prefers-reduced-motion": "no-preference", **features}
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": k, "value": v} for k, v in settings.items()]}
        )
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(path.as_uri() + address)

    def script(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def press(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def click_node(self, i):
        self.script(f"document.getElementById('n{i}').dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")

    def scrub(self, position):
        self.script(
            "const s = document.getElementById('slider'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))",
            position,
        )

    @property
    def count(self):
        return self.find("#count").text

    @property
    def last(self):
        return int(self.count.partition("/")[2])

    def numbers(self, selector):
        """The numbers in a part of the page, with all their digits."""
        texts = self.script(
            "return [...document.querySelectorAll(arguments[0])].map((x) => x.value)", f"{selector} data"
        )
        return [parsed(text) for text in texts]

    def graph(self):
        """What the picture shows: for each node its value and its gradient, exact; None for nothing."""
        texts = self.script(
            "return [...document.querySelectorAll('g.node')].map((g) => ['value', 'gradient'].map("
            "(k) => g.querySelector('text.' + k)?.dataset.number ?? ''))"
        )
        return [[parsed(text) if text else None for text in pair] for pair in texts]

    def run(self):
        """The values and the gradients of all nodes in the run that the page plays, those that are folded too."""
        texts = self.script("return [run.values, gradientsAfter(passes[0])].map((xs) => xs.map(exact))")
        return [[parsed(x) for x in xs] for xs in texts]

    def everything(self):
        """All that depends on the position, as markup."""
        return self.script(
            "return ['scroller', 'event', 'remarks', 'phase', 'count', 'announcement']"
            ".map((id) => document.getElementById(id).outerHTML).join('') + document.getElementById('slider').value"
        )

    def complaints(self):
        return [entry for entry in self.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        """The addresses that the page has asked for, aside from itself and from what it holds."""
        log = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [entry["params"]["request"]["url"] for entry in log if entry["method"] == "Network.requestWillBeSent"]
        page = self.browser.current_url.partition("#")[0]
        return [url for url in sent if url.partition("#")[0] != page and not url.startswith("blob:")]


def parsed(text):
    return {"Infinity": math.inf, "-Infinity": -math.inf}.get(text, float("nan") if text == "NaN" else None) or float(
        text
    )


def bits(x):
    return None if x is None else "nan" if math.isnan(x) else struct.pack("<d", x)


def same(one, other):
    return [bits(x) for x in one] == [bits(x) for x in other]
