-- What went wrong lately, and where.
SELECT outcome, kind, dataset, model, state, signature, error, evidence, host, tag, element, attempt, run_id
FROM failures
WHERE workspace_id = :workspace
ORDER BY ended DESC, run_id, attempt
LIMIT 200
