"""What is drawn: nodes, edges and boxes, folded where there are too many."""
