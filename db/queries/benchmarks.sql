-- Size, work and latency of models, by device; rows of two devices do not compare.
SELECT device, model, batch_size, length, parameters, size_mb, macs, latency_ms, run_id
FROM benchmarks
WHERE workspace_id = :workspace
ORDER BY device, batch_size, length, latency_ms, model
