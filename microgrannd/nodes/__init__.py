"""What is said of nodes without knowing Value: arithmetic, order, what the open modes make of them, words."""
