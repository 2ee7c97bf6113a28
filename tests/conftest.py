"""What every test shares."""

from __future__ import annotations

import signal

from hypothesis import settings

# A shell starts what it puts in the background with Ctrl-C ignored, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines are shared and the first call into torch takes most of a second: a slow example is not a failing one.
settings.register_profile("sgonz", deadline=None)
settings.load_profile("sgonz")
