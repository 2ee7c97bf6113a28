"""Measured speeds as people see them."""

from __future__ import annotations

from shown import console, printed

from sgonz.view.speeds import show_speeds

ROWS = [
    {"model": "albeto-tiny", "batch_size": 1, "length": 512, "parameters": 5345075, "macs": 2418245608, "macs_full": 3072737320,
     "size_mb": 20.41, "latency_ms": 25.5, "latency_std_ms": 1.25, "latency_median_ms": 25.4, "reference_ms": 408.0, "status": "measured"},
    {"model": "beto-cased", "batch_size": 64, "length": 512, "parameters": 109853187, "macs": 2785693276416,
     "macs_full": 3094930907136, "size_mb": 419.1, "latency_ms": None, "status": "out_of_memory"},
]  # fmt: skip

AT_80 = """\
AMD EPYC, 1 thread, here; speedup over beto-cased
 ──────────────────────────────────────────────────────────────────────────────
 model        batch  length   params       MACs             ms  median  speedup
 ──────────────────────────────────────────────────────────────────────────────
 albeto-tiny      1     512    5.3 M     2.42 G   25.50 ± 1.25   25.40    16.00
 ──────────────────────────────────────────────────────────────────────────────
 beto-cased      64     512  109.9 M  2785.69 G  out of memory       –        –
 ──────────────────────────────────────────────────────────────────────────────"""


def test_a_table_of_speeds_fits_eighty_columns_with_whole_names() -> None:
    screen = console(80)
    show_speeds(ROWS, "AMD EPYC, 1 thread, here; speedup over beto-cased", console=screen)
    assert printed(screen) == AT_80
