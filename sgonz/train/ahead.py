"""What every run would do for the first time: done once by the fork server, which imports this before it forks."""

from __future__ import annotations

import contextlib

from transformers.conversion_mapping import get_checkpoint_conversion_mapping

from sgonz.train.quiet import hush

hush()
get_checkpoint_conversion_mapping(
    "bert"
)  # compiles nine hundred patterns, of all models there are, and keeps them
with contextlib.suppress(Exception):  # one that is broken is met by the runs that need it
    import deepspeed  # noqa: F401 - accelerate imports it whenever a model is saved, where it is installed
