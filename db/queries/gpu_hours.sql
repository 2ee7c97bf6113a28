-- Where the device hours went: wasted on failures and work done again, interrupted; `hours_by_events` are not from sacct.
SELECT sweep, kind, dataset, model, owner, device, attempts, hours, wasted_hours, interrupted_hours, hours_by_events
FROM gpu_hours
WHERE workspace_id = :workspace
ORDER BY hours DESC, sweep, kind, dataset, model
