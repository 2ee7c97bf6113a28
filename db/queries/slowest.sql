-- Which finished runs took longest.
SELECT seconds / 60.0 AS minutes, kind, dataset, model, learning_rate, batch_size, epochs, epochs_done, attempts, run_id
FROM runs
WHERE workspace_id = :workspace AND seconds IS NOT NULL
ORDER BY seconds DESC, run_id
LIMIT 50
