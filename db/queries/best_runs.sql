-- Which settings were best for each model on each data set.
SELECT dataset, kind, model, teacher, seed, learning_rate, batch_size, epochs, metric, validation_loss,
       validation_score, test_score, flags, run_id
FROM best_runs
WHERE workspace_id = :workspace
ORDER BY dataset, kind, model, teacher, seed, run_id
