"""The player for everybody: what a screen reader is told, the keyboard alone, and fingers on glass."""

import pytest

import microgrannd as mg
from microgrannd.nn import MLP
from tests.drawing.screen import needs_chromium
from tests.drawing.test_player_alive import circuit, expected, numbers
from tests.drawing.test_player_network import folds, network

Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

pytestmark = [needs_chromium, pytest.mark.slow]


def told(screen):
    """The accessibility tree: the role, the name and the description of all that a screen reader meets."""
    nodes = screen.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    texts = [[node.get(key, {}).get("value", "") for key in ("role", "name")] for node in nodes if not node["ignored"]]
    return [(role, " ".join(name.split())) for role, name in texts]


def tab_to(screen, selector):
    """Press Tab until an element has the focus."""
    for _ in range(60):
        screen.press(Keys.TAB)
        if screen.script("return document.activeElement.matches(arguments[0])", selector):
            return
    pytest.fail(f"the keyboard does not reach {selector}")


# ---- a screen reader


def test_a_screen_reader_is_told_of_the_graph_the_numbers_the_controls_and_the_step(opened):
    screen = opened(circuit())
    screen.scrub(4)
    tree = told(screen)
    assert {
        ("heading", "f = q * z"),
        ("region", "Computation graph"),
        ("region", "What happens"),
        ("region", "The numbers of the leaves"),
        *[("textbox", name) for name in "xyz"],
        *[("button", name) for name in ("To the beginning", "Step back", "Play", "Step", "To the end", "as it was")],
        *[("checkbox", name) for name in ("Predict", "wrong order", "no +=")],
        ("slider", "Step"),
        ("combobox", "Go to a node"),
        ("group", "q = 3; gradient -4"),
        ("group", "z = -4"),
    } <= set(tree)
    assert ("StaticText", "Step 4 of 7. grad(q) += 1 × −4 = −4: 0 → −4") in tree
    [graph] = [name for role, name in tree if role == "group" and name.startswith("Computation graph of f")]
    assert "No gradients" not in graph
    assert not [role for role, name in tree if role in ("button", "textbox", "checkbox", "slider", "link") and not name]
    screen.press(Keys.ARROW_RIGHT)
    assert ("StaticText", "Step 5 of 7. grad(z) += 1 × 3 = 3: 0 → 3") in told(screen)


def test_a_screen_reader_is_told_what_is_folded_and_where_the_search_is(opened):
    tree = told(opened(network()))
    assert ("button", "layer0.neuron0, folded: 3 leaves, 1 dot, 1 relu. Unfold") in tree
    assert ("button", "Fold layer0") in tree
    assert ("searchbox", "Find a node by label, scope or operation") in tree


def test_what_moves_in_the_live_region_is_polite_and_said_once(opened):
    screen = opened(circuit())
    screen.script(
        "window.said = []; new MutationObserver(() => said.push(byId('announcement').textContent))"
        ".observe(byId('announcement'), {childList: true, characterData: true, subtree: true})"
    )
    for _ in range(3):
        screen.press(Keys.ARROW_RIGHT)
    said = screen.script("return said.filter((text, i) => text !== said[i - 1])")
    assert [text.split(".")[0] for text in said] == ["Step 1 of 7", "Step 2 of 7", "Step 3 of 7"]
    assert screen.find("#announcement").get_attribute("aria-live") == "polite"


# ---- the keyboard alone


def test_with_the_keyboard_alone_a_number_is_changed_and_the_steps_are_walked(opened):
    screen = opened(circuit())
    tab_to(screen, "input[name=x]")
    screen.press(Keys.CONTROL, "a")
    screen.press("3", Keys.ARROW_UP)
    assert numbers(screen) == expected(circuit(x=3.1))
    tab_to(screen, "#first")
    screen.press(Keys.ENTER)
    assert screen.count == "0 / 7"
    assert screen.script("return document.activeElement.id") == "forth"  # not lost with the button that is off now
    screen.press(Keys.SPACE)
    screen.press(Keys.ENTER)
    assert screen.count == "2 / 7"
    screen.press(Keys.END)
    screen.press(Keys.ARROW_LEFT)
    assert screen.count == "6 / 7"
    tab_to(screen, "#node")
    screen.press("x")
    assert "One path to x" in screen.find("#paths h2").text
    screen.press(Keys.ESCAPE)


def test_with_the_keyboard_alone_a_guess_is_made(opened):
    screen = opened(circuit())
    tab_to(screen, "#slider")
    for _ in range(3):
        screen.press(Keys.ARROW_RIGHT)
    tab_to(screen, "#predict")
    screen.press(Keys.SPACE)
    screen.press(Keys.ARROW_RIGHT)
    assert screen.script("return document.activeElement.id") == "guess"
    screen.press("4", Keys.ENTER)
    assert "sign" in screen.find("#feedback").text
    screen.press("-4", Keys.ENTER)
    assert screen.count == "4 / 7"
    assert "0 of 1 right at once" in screen.find("#score").get_attribute("textContent")


def test_with_the_keyboard_alone_a_network_is_unfolded_and_folded_again(opened):
    screen = opened(network())
    before = folds(screen)
    tab_to(screen, "g.fold")
    screen.press(Keys.ENTER)
    assert len(folds(screen)) < len(before)
    screen.press(Keys.ESCAPE)
    assert folds(screen) == before
    tab_to(screen, "#search")
    screen.press("w1 layer0.neuron3", Keys.ENTER)
    assert screen.all("g.node.chosen text.label")[0].text == "w⁰₃₁"


# ---- fingers


@pytest.fixture
def touched(browser, opened):
    """A page on a phone, with functions that tap and swipe."""
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 1})
    yield lambda thing: opened(thing, width=390, height=844)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def swipe(screen, selector, across=0, down=0):
    """Touch the middle of an element, move, and let go."""
    x, y = screen.script(
        "const box = document.querySelector(arguments[0]); box.scrollIntoView({block: 'center', inline: 'center'});"
        "const {left, top, width, height} = box.getBoundingClientRect(); return [left + width / 2, top + height / 2]",
        selector,
    )
    touch = lambda kind, points: screen.browser.execute_cdp_cmd(  # noqa: E731
        "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
    )
    touch("touchStart", [{"x": x, "y": y}])
    for k in range(1, 9) if across or down else ():
        touch("touchMove", [{"x": x + across * k / 8, "y": y + down * k / 8}])
    touch("touchEnd", [])


def test_a_finger_drags_a_number_by_its_name(touched):
    screen = touched(circuit())
    swipe(screen, "#numbers .number:nth-child(2) label", across=40)
    assert screen.find("#numbers input[name=y]").get_attribute("value") == "6"
    assert numbers(screen) == expected(circuit(y=6.0))


def test_a_finger_taps_buttons_and_leaves_and_a_swipe_over_the_picture_changes_nothing(touched):
    screen = touched(circuit())
    swipe(screen, "#forth")
    assert screen.count == "1 / 7"
    swipe(screen, "#n0")
    assert "One path to x" in screen.find("#paths h2").text
    swipe(screen, "#n1", across=-60)
    assert numbers(screen) == expected(circuit())


def test_a_finger_unfolds_and_folds_a_network(touched):
    screen = touched(network())
    before = folds(screen)
    swipe(screen, "g.fold")
    assert len(folds(screen)) < len(before)
    swipe(screen, ".frame-name")
    assert len(folds(screen)) != len(before) or folds(screen) == before


def test_what_is_pressed_on_a_phone_is_large_enough(touched):
    screen = touched(MLP(2, [2, 1], seed=0)([mg.Value(1.0, "x0"), 2.0]))
    small = screen.script(
        "return [...document.querySelectorAll('button, select, #numbers input')].filter((x) => x.offsetParent)"
        ".map((x) => [x.id || x.name, x.getBoundingClientRect().height]).filter(([, height]) => height < 24)"
    )
    assert small == []
