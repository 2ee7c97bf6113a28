-- Every score of every validation of every run: losses by name, like the rest.
SELECT scores.workspace_id, runs.kind, runs.dataset, runs.model, runs.teacher, runs.seed, runs.learning_rate,
       runs.batch_size, scores.run_id, scores.epoch, scores.step, scores.split, scores.name, scores.value
FROM scores
JOIN runs ON runs.workspace_id = scores.workspace_id AND runs.run_id = scores.run_id
WHERE NOT scores.final
