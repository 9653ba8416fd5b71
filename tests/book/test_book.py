"""The book as its readers see it: run in fresh kernels, rendered, and looked at in headless Chromium."""

import re
import shutil
import time
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --disable-dev-shm-usage"
)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def page(request, tmp_path_factory):
    """A chapter, run in a fresh kernel, as a page."""
    pytest.importorskip("nbclient")
    pytest.importorskip("nbconvert")
    from docs import build_book

    if request.param.name.startswith("10"):
        import microgrannd as mg

        try:
            mg.datasets.mnist(download=False)
        except FileNotFoundError:
            pytest.skip("MNIST is not on this machine: set MICROGRANND_DATA")
    file = tmp_path_factory.mktemp("book") / f"{request.param.stem}.html"
    file.write_text(build_book.page(build_book.executed(request.param), request.param.stem), "utf-8")
    return file


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and its driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in [*SWITCHES.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(page):
    text = page.read_text("utf-8")
    assert "Traceback (most recent" not in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert "data:image/svg+xml" in text


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_on_the_page_is_cut_off_or_broken(page, browser, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    broken = "return [...document.images].filter(i => !i.closest('[popover]') && !i.popover && !i.naturalWidth).length"
    assert browser.execute_script(broken) == 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_player_in_the_page_plays(page, browser):
    from selenium.webdriver.common.keys import Keys

    browser.get(page.as_uri())
    for frame in browser.find_elements("css selector", "iframe"):
        browser.switch_to.frame(frame)
        slider = browser.find_element("id", "slider")
        slider.send_keys(Keys.END)
        deadline = time.monotonic() + 10
        while slider.get_attribute("value") != slider.get_attribute("max") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert slider.get_attribute("value") == slider.get_attribute("max") != "0"
        browser.switch_to.default_content()
