-- Which model is best on each data set, by the selected runs of all sweeps.
SELECT dataset, kind, model, teacher, seed, metric, test_score, validation_score, learning_rate, batch_size, epochs,
       sweep, run_id
FROM (
    SELECT DISTINCT dataset, kind, model, teacher, seed, metric, test_score, validation_score, learning_rate, batch_size,
           epochs, sweep, run_id
    FROM leaderboard
    WHERE workspace_id = :workspace
) AS found
ORDER BY dataset, CASE WHEN test_score IS NULL THEN 1 ELSE 0 END, test_score DESC, validation_score DESC, run_id
