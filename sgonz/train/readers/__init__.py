"""Data files to examples: one module per family of formats, light enough for a login node."""

from sgonz.train.readers.checking import Check, check, differences, labels
from sgonz.train.readers.classification import is_placeholder
from sgonz.train.readers.reading import read

__all__ = ["Check", "check", "differences", "is_placeholder", "labels", "read"]
