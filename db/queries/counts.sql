-- How many runs stand in each state, by kind and data set.
SELECT kind, dataset, state, runs
FROM counts
WHERE workspace_id = :workspace AND sweep_id = 0
ORDER BY kind, dataset, state
