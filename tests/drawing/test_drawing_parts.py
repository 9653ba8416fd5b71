"""What a drawing and a player are made of, on the smallest graphs."""

from microgrannd import Value, draw, scope, topological_order
from microgrannd.drawing.layout.ranks import longest_paths, tight_ranks
from microgrannd.drawing.picture.backward import backward_picture
from microgrannd.drawing.picture.folding import folded
from microgrannd.drawing.picture.picture import picture
from microgrannd.drawing.player.recording import playable_order, record
from microgrannd.drawing.player.training_recording import record_training
from microgrannd.drawing.player.wording import title
from microgrannd.optim import SGD


def test_two_uses_of_a_value_are_two_edges():
    x = Value(3.0, label="x")
    assert [edge.id for edge in picture([x * x]).edges] == ["e1-0", "e1-1"]


def test_the_backward_picture_joins_both_passes():
    x, w = Value(3.0, label="x"), Value(2.0, label="w")
    labels = [node.label for node in backward_picture(x * w).nodes]
    assert labels == ["x", "w", "v2", "∂v2/∂v2", "∂v2/∂w", "∂v2/∂x"]


def test_a_recording_says_every_event_in_words():
    x, y = Value(-2.0, label="x"), Value(5.0, label="y")
    assert list(record(playable_order(x * y + x)).lines()) == [
        "x * y = −2 * 5 = −10",
        "x * y + x = −10 + −2 = −12",
        "grad(x * y + x) = 1",
        "grad(x * y) += 1 × 1 = 1: 0 → 1",
        "grad(x) += 1 × 1 = 1: 0 → 1",
        "grad(x) += 1 × 5 = 5: 1 → 6",
        "grad(y) += 1 × −2 = −2: 0 → −2",
    ]


def test_a_recorded_training_trains():
    w = Value(1.0, label="w")
    recording, _ = record_training(lambda x, y: (w * x - y) ** 2, ([1.0], [3.0]), None, SGD([w], lr=0.25), 2)
    assert ([run.output for run in recording.passes], w.data) == ([4.0, 1.0], 2.5)


def test_a_short_expression_is_a_title():
    x = Value(2.0, label="x")
    assert title(topological_order((x * x + 1).tanh())) == "tanh(x * x + 1)"


def test_a_rank_is_one_more_than_the_highest_parents():
    assert longest_paths(4, [(0, 1), (1, 3), (2, 3)]) == [0, 1, 0, 2]


def test_a_leaf_stands_beside_its_first_consumer():
    assert tight_ranks(4, [(0, 1), (1, 3), (2, 3)]) == [0, 1, 1, 2]


def test_a_scope_is_a_box():
    with scope("square"):
        y = Value(2.0, label="x") ** 2 + 1
    assert [box.label for box in folded([y.exp()], depth=0).nodes] == ["x", "square", ""]


def test_quotes_and_ampersands_of_a_label_are_text_in_dot():
    assert '"say \\"hi\\"' in draw(Value(1.0, label='say "hi"')).dot
    assert "a &amp; b" in draw(Value(1.0, label="a & b")).dot
