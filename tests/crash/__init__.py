"""Jobs whose processes are killed: at random, and at every point between two writes."""
