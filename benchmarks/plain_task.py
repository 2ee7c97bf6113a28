"""What a run that does nothing needs from a script of one's own: read its line, say that it began, leave a result, say so.

The same files with the same care as sgonz's worker (a result is synchronised and renamed into place), with the
standard library alone, and without claims, signals, versions and whatever else makes a run safe.
"""

import json
import os
import sys
import time

folder, element = sys.argv[1], int(os.environ["SLURM_ARRAY_TASK_ID"])
with open(f"{folder}/runs.jsonl") as stream:
    run = json.loads(next(line for number, line in enumerate(stream) if number == element))
output = f"{folder}/runs/{run['run_id'][:2]}/{run['run_id']}/output"
os.makedirs(f"{folder}/events", exist_ok=True)
os.makedirs(output, exist_ok=True)
with open(f"{folder}/events/{element}.jsonl", "a") as events:
    print(json.dumps({"type": "run_started", "time": time.time(), **run}), file=events, flush=True)
    with open(f"{output}/.scores.json", "w") as draft:
        json.dump({"outcome": "COMPLETED", "time": time.time(), **run}, draft)
        draft.flush()
        os.fsync(draft.fileno())
    os.replace(f"{output}/.scores.json", f"{output}/scores.json")
    print(json.dumps({"type": "run_ended", "time": time.time(), **run}), file=events, flush=True)
