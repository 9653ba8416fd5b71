"""Networks in the player: folded, unfolded by a click, found by a name, and alive."""

import json
import math
import re

import pytest

import microgrannd as mg
from microgrannd import Operation, Value
from microgrannd.nn import MLP
from tests.drawing.screen import needs_chromium, same

Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

pytestmark = [needs_chromium, pytest.mark.slow]


def network(x=0.5, hidden=(16, 16)):
    """The network of micrograd's README: 404 nodes, 337 of them parameters."""
    return (MLP(2, [*hidden, 1], seed=0)([x, -1.0]) - 1) ** 2


def chain(length):
    y = Value(1.5, label="x")
    for _ in range(length):
        y = (y * 1.01).sin()
    return y


def folds(screen):
    return [box.get_attribute("aria-label") for box in screen.all("g.fold")]


def unfold(screen, name):
    screen.script(
        "[...document.querySelectorAll('g.fold')]"
        ".find((box) => box.getAttribute('aria-label').startsWith(arguments[0]))"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))",
        f"{name}, folded",
    )


def test_a_network_opens_on_its_neurons(opened):
    screen = opened(network())
    names = folds(screen)
    assert len([name for name in names if re.match(r"layer[01]\.neuron\d+, folded: ", name)]) == 32
    assert "layer0.neuron0, folded: 3 leaves, 1 dot, 1 relu. Unfold" in names
    assert [text.text for text in screen.all(".frame-name")][:2] == ["▾ layer0", "▾ layer1"]
    inputs = screen.all("g.input text.value")
    assert sorted(text.text for text in inputs) == ["0.5", "−1"]


def test_a_click_unfolds_a_neuron_and_escape_folds_it(opened):
    screen = opened(network())
    before = folds(screen)
    unfold(screen, "layer0.neuron3")
    labels = screen.script("return [...document.querySelectorAll('g.node text.label')].map((text) => text.textContent)")
    assert {"w⁰₃₀", "w⁰₃₁", "b⁰₃", "z⁰₃", "a⁰₃"} <= set(labels)
    assert "layer0.neuron3" not in " ".join(folds(screen))
    screen.press(Keys.ESCAPE)
    assert folds(screen) == before


def test_a_frame_is_folded_by_its_name_and_keys_do_it_too(opened):
    screen = opened(network())
    count = len(folds(screen))
    screen.script("document.querySelector('.frame-name').focus()")
    screen.press(Keys.ENTER)
    assert [name for name in folds(screen) if name.startswith("layer0, folded: 48 leaves")]
    assert len(folds(screen)) == count - 15
    screen.script("document.querySelector('g.fold').focus()")
    screen.press(Keys.ENTER)
    assert len(folds(screen)) == count


def test_a_fold_is_one_step_until_it_is_opened(opened):
    screen = opened(network())
    screen.press(Keys.ARROW_RIGHT)
    screen.press(Keys.ARROW_RIGHT)
    assert screen.count.startswith("4 /")  # z and a of two neurons
    assert "2 nodes are computed." in screen.find("#event").text
    assert "layer0.neuron1, folded: 2 nodes" in screen.find("#announcement").get_attribute("textContent")
    screen.press(Keys.ARROW_LEFT)
    assert screen.count.startswith("2 /")
    unfold(screen, "layer0.neuron1")
    screen.press(Keys.ARROW_RIGHT)
    assert screen.count.startswith("3 /")
    assert "z⁰₁ = w⁰₁₀ * 0.5 + w⁰₁₁ * −1 + b⁰₁" in " ".join(screen.find("#event").text.split())


def test_a_search_finds_a_node_by_its_name_scope_or_operation_and_unfolds_it(opened):
    screen = opened(network())
    for words, first in [("w7 layer1.neuron2", "w¹₂₇"), ("relu layer1.neuron15", "a¹₁₅"), ("w¹₃₅", "w¹₃₅")]:
        screen.find("#search").clear()
        screen.find("#search").send_keys(words)
        assert screen.all("#found button")[0].text.splitlines()[0] == first
        screen.find("#search").send_keys(Keys.ENTER)
        labels = screen.script("return [...document.querySelectorAll('g.node text.label')].map((t) => t.textContent)")
        assert first in labels
    screen.find("#search").clear()
    screen.find("#search").send_keys("nobody")
    assert screen.find("#found").text == "Nothing has such a name."


def test_its_numbers_are_those_of_python_and_stay_alive(opened):
    y = network()
    screen = opened(network())
    y.backward()
    order = mg.topological_order(y)
    values, gradients = screen.run()
    assert same(values, [node.data for node in order])
    assert same(gradients, [node.grad for node in order])
    name = "layer0.neuron0.w0"
    screen.script(
        "const f = document.getElementsByName(arguments[0])[0]; f.value = '0.75'; f.dispatchEvent(new Event('input'))",
        name,
    )
    model = MLP(2, [16, 16, 1], seed=0)
    model.layers[0].neurons[0].w[0].data = 0.75
    assert screen.run()[0][-1] == ((model([0.5, -1.0]) - 1) ** 2).data


def test_a_fold_shows_its_gradients(opened):
    y = network()
    screen = opened(network())
    screen.press(Keys.END)
    y.backward()
    nodes = [n for n in mg.topological_order(y) if n.scope == "layer1.neuron0"]
    mean = math.fsum(abs(n.grad) for n in nodes) / len(nodes)
    notes = screen.script(
        "return [...document.querySelectorAll('g.fold')]"
        ".map((box) => [box.getAttribute('aria-label'), box.lastElementChild.textContent])"
    )
    [note] = [note for label, note in notes if label.startswith("layer1.neuron0,")]
    assert note == f"mean |∇| {mg.drawing.picture.lettering.numeral(mean)}, " + note.split(", ")[1]


def test_remarks_of_many_nodes_are_one(opened):
    y = network()
    off = len([n for n in mg.topological_order(y) if n.op is mg.operations.relu and n.data == 0])
    screen = opened(y)
    screen.find("#notices summary").click()
    assert f"{off} of 32 ReLUs are off" in screen.find("#notices").text


def test_a_long_chain_without_scopes_is_folded_into_runs(opened):
    screen = opened(chain(3000))
    assert 1 < len(folds(screen)) <= 120
    y = chain(3000)
    y.backward()
    order = mg.topological_order(y)
    values, gradients = screen.run()
    assert values == [node.data for node in order]
    assert gradients == [node.grad for node in order]
    first = folds(screen)[0].split(", folded")[0]
    unfold(screen, first)
    assert screen.script("return rendered.length") > 0
    screen.press(Keys.ESCAPE)
    assert folds(screen)[0].startswith(first)


def test_a_network_with_an_operation_that_the_page_cannot_have_plays_pythons_numbers(opened):
    cube = Operation("cube", lambda x: x**3, lambda x, out: (3 * x * x,))

    def build():
        return cube(network())

    y = build()
    screen = opened(build())
    y.backward()
    order = mg.topological_order(y)
    values, gradients = screen.run()
    assert same(values, [node.data for node in order])
    assert same(gradients, [node.grad for node in order])
    assert "cube cannot be computed in a page" in screen.find("#obstacle").text


def test_a_network_in_a_page_is_small(opened):
    player = mg.step(MLP(64, [100, 10], seed=0)([0.1] * 64)[0] * 1.0)
    nodes = len(mg.topological_order(MLP(64, [100, 10], seed=0)([0.1] * 64)[0]))
    assert len(player.html.encode()) < 150_000 + 50 * nodes
    screen = opened(player)
    assert screen.script("return document.querySelectorAll('#scroller *').length") < 2500


def test_without_a_script_a_network_is_drawn_folded():
    html = mg.step(network()).html
    svg = html[html.index("<svg") : html.index("</svg>")]
    assert "layer0.neuron0" in svg or "layer0" in svg
    assert svg.count('class="node') <= 60
    json.dumps(html)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_network_fits_a_phone(scheme, opened):
    screen = opened(network(), width=390, height=844, **{"prefers-color-scheme": scheme})
    for _ in range(3):
        screen.press(Keys.ARROW_RIGHT)
    assert screen.script("return document.documentElement.scrollWidth") <= 390


def test_hostile_labels_and_scopes_run_nothing(opened):
    hostile = "</script><img src=x onerror=document.title='run'>\"'&"
    with mg.scope(hostile):
        y = x = Value(1.0, label=hostile)
        for _ in range(90):
            y = (y * 1.01).sin()
    screen = opened(y + x)
    screen.press(Keys.END)
    screen.script("document.querySelector('g.fold')?.dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    screen.find("#search").send_keys("img", Keys.ENTER)
    assert screen.script("return document.title") != "run"
    assert screen.all("img") == []
    assert screen.script("return document.scripts.length") == 2
    assert hostile in screen.script("return document.querySelector('.nodes').textContent")
