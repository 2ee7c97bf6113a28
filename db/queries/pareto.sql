-- Which finished runs no smaller model beats: parameters against the score; --param dataset=NAME for one data set.
-- :dataset = ''
WITH sized AS (
    SELECT runs.dataset, runs.kind, runs.model, runs.metric, MAX(runs.validation_score) AS score,
           MIN(attempts.parameters) AS parameters
    FROM runs
    JOIN attempts ON attempts.workspace_id = runs.workspace_id AND attempts.run_id = runs.run_id
    WHERE runs.workspace_id = :workspace AND runs.state = 'COMPLETED' AND runs.kind IN ('finetune', 'distill')
      AND runs.validation_score IS NOT NULL AND attempts.parameters IS NOT NULL
      AND (:dataset = '' OR runs.dataset = :dataset)
    GROUP BY runs.dataset, runs.kind, runs.model, runs.metric
)
SELECT dataset, kind, model, metric, score, parameters
FROM sized
WHERE NOT EXISTS (
    SELECT 1 FROM sized AS other
    WHERE other.dataset = sized.dataset AND other.parameters <= sized.parameters AND other.score >= sized.score
      AND (other.parameters < sized.parameters OR other.score > sized.score)
)
ORDER BY dataset, parameters, model, kind
