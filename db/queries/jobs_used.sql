-- What every job used: time, node, GPUs, the host's memory at its peak, how the cluster says that it ended.
SELECT tag, element, external_id, owner, node, gres, gpus, elapsed / 60.0 AS minutes, peak_memory_mb, cluster_state, exit_code,
       counted_by
FROM jobs
WHERE workspace_id = :workspace AND accounted IS NOT NULL
ORDER BY elapsed DESC, tag, element
