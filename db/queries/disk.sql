-- What runs left on disk for others to read, weights and stored logits, the largest groups first.
SELECT artifacts.kind AS what, runs.kind, runs.dataset, runs.model, COUNT(*) AS runs,
    SUM(artifacts.size) / 1073741824.0 AS gib, MAX(artifacts.size) / 1048576.0 AS largest_mib
FROM artifacts
JOIN runs ON runs.workspace_id = artifacts.workspace_id AND runs.run_id = artifacts.run_id
WHERE artifacts.workspace_id = :workspace
GROUP BY artifacts.kind, runs.kind, runs.dataset, runs.model
ORDER BY gib DESC, artifacts.kind, runs.kind, runs.dataset, runs.model
