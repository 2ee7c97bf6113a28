"""From a sweep file to its runs: read, resolved, checked, expanded, foreseen, opened."""
