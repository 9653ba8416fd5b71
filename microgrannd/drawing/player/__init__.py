"""The step player: a recording of a pass or a training, and the page that plays it."""
