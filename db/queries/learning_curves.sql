-- How losses and scores went from epoch to epoch: 200 runs, or those that --param run=ID and --param dataset=NAME choose.
-- :run = ''
-- :dataset = ''
WITH chosen AS (
    SELECT workspace_id, run_id
    FROM runs
    WHERE workspace_id = :workspace AND run_id LIKE :run || '%' AND (:dataset = '' OR dataset = :dataset)
      AND EXISTS (SELECT 1 FROM scores WHERE scores.workspace_id = runs.workspace_id AND scores.run_id = runs.run_id)
    ORDER BY dataset, kind, model, run_id
    LIMIT 200
)
SELECT dataset, kind, model, learning_rate, batch_size, curves.run_id, epoch, step, split, name, value
FROM chosen
JOIN learning_curves AS curves ON curves.workspace_id = chosen.workspace_id AND curves.run_id = chosen.run_id
ORDER BY dataset, kind, model, curves.run_id, step, epoch, split, name
