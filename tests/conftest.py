"""What every test shares."""

from __future__ import annotations

from hypothesis import settings

# Machines are shared and the first call into torch takes most of a second: a slow example is not a failing one.
settings.register_profile("sgonz", deadline=None)
settings.load_profile("sgonz")
