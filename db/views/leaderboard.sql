-- The selected run of every group of a sweep, with its scores.
SELECT runs.workspace_id, sweeps.id AS sweep_id, sweeps.name AS sweep, runs.dataset, runs.kind, runs.model, runs.teacher,
       runs.protocol, runs.seed, runs.metric, runs.test_score, runs.validation_score, runs.validation_loss,
       runs.learning_rate, runs.batch_size, runs.epochs, runs.best_epoch, runs.seconds, runs.run_id
FROM sweep_runs
JOIN sweeps ON sweeps.id = sweep_runs.sweep_id
JOIN runs ON runs.workspace_id = sweep_runs.workspace_id AND runs.run_id = sweep_runs.run_id
WHERE sweep_runs.selected
