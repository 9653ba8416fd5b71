# Gradients, checked by differences
import microgrannd as mg


def staged(x, y):
    return (x + mg.sigmoid(y)) / (mg.sigmoid(x) + (x + y) ** 2)


print(mg.check_gradients(staged, 3.0, -4.0))

# An operation of your own, with a mistake in its derivative: the square is missing.
wrong = mg.Operation("softsign", lambda x: x / (1 + abs(x)), lambda x, out: (1 / (1 + mg.abs(x)),))
mg.check_gradients(lambda x: wrong(x), 3.0)
