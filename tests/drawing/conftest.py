"""The browser that the tests of pages share."""

import pytest

import microgrannd as mg


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    from tests.drawing.screen import CHROMIUM, DRIVER, SWITCHES

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in SWITCHES.split():
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, tmp_path):
    """Open the player of a Value, or a player, in the browser; nothing may have gone wrong by the end."""
    from tests.drawing.screen import Screen

    screens = []

    def opened(thing, address="", **settings):
        player = thing if isinstance(thing, mg.Player) else mg.step(thing)
        path = tmp_path / f"player{len(screens)}.html"
        player.to_html(path)
        screens.append(Screen(browser, path, address=address, **settings))
        return screens[-1]

    yield opened
    assert screens[-1].complaints() == []
    assert screens[-1].requests() == []
