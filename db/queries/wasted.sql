-- How much time attempts took that gave no result, by how they ended and on which node.
SELECT outcome, host, device, COUNT(*) AS attempts, SUM(COALESCE(seconds, 0)) / 3600.0 AS hours
FROM attempts
WHERE workspace_id = :workspace AND outcome IS NOT NULL AND outcome <> 'COMPLETED'
GROUP BY outcome, host, device
ORDER BY hours DESC, outcome, host
