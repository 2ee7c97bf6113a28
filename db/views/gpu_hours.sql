-- Device hours by sweep, kind, data set, model, owner and device. The cluster's own count where there is one, each
-- job's time shared out among its attempts; wasted are those of attempts that failed and of work done again,
-- interrupted those of attempts that a later one went on from.
SELECT attempts.workspace_id, sweeps.name AS sweep, runs.kind, runs.dataset, runs.model, jobs.owner, attempts.device,
       COUNT(*) AS attempts,
       SUM(COALESCE(attempts.device_seconds, attempts.seconds, attempts.seen - attempts.started)) / 3600.0 AS hours,
       SUM(CASE WHEN attempts.outcome IN ('TIMEOUT', 'NODE_FAIL', 'PREEMPTED', 'UNKNOWN') OR attempts.outcome IS NULL
                  OR attempts.outcome = 'COMPLETED' AND NOT EXISTS (
                     SELECT 1 FROM attempts AS later
                     WHERE later.workspace_id = attempts.workspace_id AND later.run_id = attempts.run_id
                       AND later.attempt > attempts.attempt AND later.outcome = 'COMPLETED') THEN 0
                ELSE COALESCE(attempts.device_seconds, attempts.seconds, 0) END) / 3600.0 AS wasted_hours,
       SUM(CASE WHEN attempts.outcome IN ('TIMEOUT', 'NODE_FAIL', 'PREEMPTED', 'UNKNOWN')
                THEN COALESCE(attempts.device_seconds, attempts.seconds, 0) ELSE 0 END) / 3600.0 AS interrupted_hours,
       SUM(CASE WHEN jobs.counted_by = 'sacct' THEN 0
                ELSE COALESCE(attempts.device_seconds, attempts.seconds, attempts.seen - attempts.started) END) / 3600.0
           AS hours_by_events
FROM attempts
JOIN runs ON runs.workspace_id = attempts.workspace_id AND runs.run_id = attempts.run_id
LEFT JOIN jobs ON jobs.workspace_id = attempts.workspace_id AND jobs.tag = attempts.tag
     AND jobs.element = attempts.element
LEFT JOIN submissions ON submissions.workspace_id = attempts.workspace_id AND submissions.tag = attempts.tag
LEFT JOIN sweeps ON sweeps.workspace_id = attempts.workspace_id AND sweeps.id = submissions.sweep_id
GROUP BY attempts.workspace_id, sweeps.name, runs.kind, runs.dataset, runs.model, jobs.owner, attempts.device
UNION ALL
-- Jobs that never came to a run.
SELECT jobs.workspace_id, sweeps.name, 'none', NULL, NULL, jobs.owner, NULL, COUNT(*),
       SUM(jobs.elapsed * CASE WHEN jobs.gpus > 1 THEN jobs.gpus ELSE 1 END) / 3600.0,
       SUM(jobs.elapsed * CASE WHEN jobs.gpus > 1 THEN jobs.gpus ELSE 1 END) / 3600.0, 0,
       SUM(CASE WHEN jobs.counted_by = 'sacct' THEN 0 ELSE jobs.elapsed END) / 3600.0
FROM jobs
JOIN submissions ON submissions.workspace_id = jobs.workspace_id AND submissions.tag = jobs.tag
JOIN sweeps ON sweeps.workspace_id = jobs.workspace_id AND sweeps.id = submissions.sweep_id
WHERE jobs.elapsed > 0 AND NOT EXISTS (
      SELECT 1 FROM attempts
      WHERE attempts.workspace_id = jobs.workspace_id AND attempts.tag = jobs.tag AND attempts.element = jobs.element)
GROUP BY jobs.workspace_id, sweeps.name, jobs.owner
