-- What was submitted, newest first: each sweep's text, cluster, command line and versions; --param sweep=NAME for one name.
-- :sweep = ''
SELECT name AS sweep, cluster, created, text, provenance AS submitted
FROM sweeps
WHERE workspace_id = :workspace AND (:sweep = '' OR name = :sweep)
ORDER BY recency DESC
