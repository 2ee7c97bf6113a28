-- The best finished run of every kind, data set, model, teacher and seed; a collapsed one (flagged, or 15 points below the
-- best of its kind, data set and model) only where no other is.
SELECT workspace_id, kind, dataset, model, teacher, protocol, seed, criterion, metric, validation_loss,
       validation_score, test_score, learning_rate, batch_size, epochs, best_epoch, flags, seconds, run_id
FROM (
    SELECT compared.*, ROW_NUMBER() OVER (
        PARTITION BY workspace_id, kind, dataset, model, teacher, protocol, seed
        ORDER BY CASE WHEN flags LIKE '%constant_predictions%' OR flags LIKE '%majority_level%'
                           OR validation_score <= highest - 15 + 1e-9 THEN 1 ELSE 0 END,
                 criterion_value, batch_size, epochs, learning_rate, run_id
    ) AS place
    FROM (
        SELECT workspace_id, kind, dataset, model, teacher, protocol, seed, criterion, metric, validation_loss,
               validation_score, test_score, learning_rate, batch_size, epochs, best_epoch, flags, seconds, run_id,
               criterion_value, MAX(validation_score) OVER (PARTITION BY workspace_id, kind, dataset, model) AS highest
        FROM runs
        WHERE state = 'COMPLETED' AND kind IN ('finetune', 'distill')
    ) AS compared
    WHERE criterion_value IS NOT NULL
) AS ranked
WHERE place = 1
