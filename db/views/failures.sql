-- Attempts that gave no result, with what is known of the cause.
SELECT attempts.workspace_id, attempts.ended, attempts.outcome, runs.kind, runs.dataset, runs.model, runs.state,
       runs.failures, runs.interruptions, attempts.signature, attempts.error, attempts.evidence, attempts.host,
       attempts.device, attempts.tag, attempts.element, attempts.attempt, attempts.run_id
FROM attempts
JOIN runs ON runs.workspace_id = attempts.workspace_id AND runs.run_id = attempts.run_id
WHERE attempts.outcome IS NOT NULL AND attempts.outcome <> 'COMPLETED'
