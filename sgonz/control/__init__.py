"""What a person asks of a sweep: stop, retry, steer, invalidate, debug."""
