-- Where the device hours went, and how many of them gave nothing.
SELECT kind, dataset, model, device, attempts, hours, wasted_hours
FROM gpu_hours
WHERE workspace_id = :workspace
ORDER BY hours DESC, kind, dataset, model
