"""RUNS tasks of /bin/true through HyperQueue's own server and one worker, here; how long that took into FOLDER."""

import json
import os
import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

runs, folder = int(sys.argv[1]), sys.argv[2]
began = time.perf_counter()
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=os.cpu_count()))
    client = cluster.client()
    ready = time.perf_counter()
    job = Job(max_fails=0)
    for _ in range(runs):
        job.program(["/bin/true"])
    client.wait_for_jobs([client.submit(job)])
    done = time.perf_counter()
with open(f"{folder}/hyperqueue.json", "w") as stream:
    json.dump({"hyperqueue": {"start": ready - began, "tasks": done - ready}}, stream)
