-- How many runs of a sweep stand in each state; sweep 0 is the whole work folder.
SELECT workspace_id, sweep_id, kind, dataset, state, runs
FROM tallies
WHERE runs > 0
