"""A turn and its parts: observe what happened, decide what follows, act on it."""
