"""From a function to a tape of single assignments, its gradients among them, and simpler tapes."""
