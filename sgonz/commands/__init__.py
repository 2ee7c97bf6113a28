"""What the commands do, one module for each kind: running, planning, looking, acting."""
