-- Device hours by kind, data set, model and device; wasted ones are of attempts that ended without a result.
SELECT attempts.workspace_id, runs.kind, runs.dataset, runs.model, attempts.device,
       COUNT(*) AS attempts,
       SUM(COALESCE(attempts.seconds, attempts.seen - attempts.started)) / 3600.0 AS hours,
       SUM(CASE WHEN attempts.outcome IS NULL OR attempts.outcome = 'COMPLETED' THEN 0
                ELSE COALESCE(attempts.seconds, 0) END) / 3600.0 AS wasted_hours
FROM attempts
JOIN runs ON runs.workspace_id = attempts.workspace_id AND runs.run_id = attempts.run_id
GROUP BY attempts.workspace_id, runs.kind, runs.dataset, runs.model, attempts.device
