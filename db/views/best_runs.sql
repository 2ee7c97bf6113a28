-- The best finished run of every kind, data set, model, teacher and seed; a collapsed one only where no other is.
SELECT workspace_id, kind, dataset, model, teacher, protocol, seed, criterion, metric, validation_loss,
       validation_score, test_score, learning_rate, batch_size, epochs, best_epoch, flags, seconds, run_id
FROM (
    SELECT runs.*, ROW_NUMBER() OVER (
        PARTITION BY workspace_id, kind, dataset, model, teacher, protocol, seed
        ORDER BY CASE WHEN flags LIKE '%constant_predictions%' OR flags LIKE '%majority_level%' THEN 1 ELSE 0 END,
                 criterion_value, batch_size, epochs, learning_rate, run_id
    ) AS place
    FROM runs
    WHERE state = 'COMPLETED' AND criterion_value IS NOT NULL AND kind IN ('finetune', 'distill')
) AS ranked
WHERE place = 1
