-- Where results come from: sweep, machine and versions of each run's last attempt; --param run=ID for one run.
-- :run = ''
SELECT runs.run_id, runs.kind, runs.dataset, runs.model, sweeps.name AS sweep, attempts.attempt, attempts.host,
       attempts.device, jobs.external_id AS scheduler_id, jobs.versions, sweeps.provenance AS submitted
FROM runs
JOIN sweep_runs ON sweep_runs.workspace_id = runs.workspace_id AND sweep_runs.run_id = runs.run_id
JOIN sweeps ON sweeps.id = sweep_runs.sweep_id
LEFT JOIN attempts ON attempts.workspace_id = runs.workspace_id AND attempts.run_id = runs.run_id
                  AND attempts.attempt = runs.attempts
LEFT JOIN jobs ON jobs.workspace_id = attempts.workspace_id AND jobs.tag = attempts.tag
              AND jobs.element = attempts.element
WHERE runs.workspace_id = :workspace AND runs.run_id LIKE :run || '%'
ORDER BY runs.position, sweeps.recency DESC
LIMIT 1000
