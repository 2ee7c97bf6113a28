-- Keep `tallies` true to `runs` and `sweep_runs`, once for each statement. Sweep 0 stands for the whole work folder.
CREATE OR REPLACE FUNCTION sgonz_tally_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO tallies (workspace_id, sweep_id, kind, dataset, state, runs)
        SELECT workspace_id, 0, kind, dataset, state, COUNT(*) FROM fresh GROUP BY workspace_id, kind, dataset, state
        ON CONFLICT (workspace_id, sweep_id, kind, dataset, state) DO UPDATE SET runs = tallies.runs + EXCLUDED.runs;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE tallies SET runs = tallies.runs - counted.many
        FROM (SELECT workspace_id, kind, dataset, state, COUNT(*) AS many FROM stale
              GROUP BY workspace_id, kind, dataset, state) AS counted
        WHERE tallies.workspace_id = counted.workspace_id AND tallies.sweep_id = 0 AND tallies.kind = counted.kind
          AND tallies.dataset = counted.dataset AND tallies.state = counted.state;
    ELSE
        UPDATE tallies SET runs = tallies.runs - left_it.many
        FROM (SELECT stale.workspace_id, linked.sweep_id, stale.kind, stale.dataset, stale.state, COUNT(*) AS many
              FROM stale JOIN fresh USING (workspace_id, run_id)
              CROSS JOIN LATERAL (SELECT 0 AS sweep_id UNION ALL SELECT sweep_runs.sweep_id FROM sweep_runs
                  WHERE sweep_runs.workspace_id = stale.workspace_id AND sweep_runs.run_id = stale.run_id) AS linked
              WHERE fresh.state <> stale.state
              GROUP BY stale.workspace_id, linked.sweep_id, stale.kind, stale.dataset, stale.state) AS left_it
        WHERE tallies.workspace_id = left_it.workspace_id AND tallies.sweep_id = left_it.sweep_id
          AND tallies.kind = left_it.kind AND tallies.dataset = left_it.dataset AND tallies.state = left_it.state;
        INSERT INTO tallies (workspace_id, sweep_id, kind, dataset, state, runs)
        SELECT fresh.workspace_id, linked.sweep_id, fresh.kind, fresh.dataset, fresh.state, COUNT(*)
        FROM fresh JOIN stale USING (workspace_id, run_id)
        CROSS JOIN LATERAL (SELECT 0 AS sweep_id UNION ALL SELECT sweep_runs.sweep_id FROM sweep_runs
            WHERE sweep_runs.workspace_id = fresh.workspace_id AND sweep_runs.run_id = fresh.run_id) AS linked
        WHERE fresh.state <> stale.state
        GROUP BY fresh.workspace_id, linked.sweep_id, fresh.kind, fresh.dataset, fresh.state
        ON CONFLICT (workspace_id, sweep_id, kind, dataset, state) DO UPDATE SET runs = tallies.runs + EXCLUDED.runs;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION sgonz_tally_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO tallies (workspace_id, sweep_id, kind, dataset, state, runs)
        SELECT fresh.workspace_id, fresh.sweep_id, runs.kind, runs.dataset, runs.state, COUNT(*)
        FROM fresh JOIN runs USING (workspace_id, run_id)
        GROUP BY fresh.workspace_id, fresh.sweep_id, runs.kind, runs.dataset, runs.state
        ON CONFLICT (workspace_id, sweep_id, kind, dataset, state) DO UPDATE SET runs = tallies.runs + EXCLUDED.runs;
    ELSE
        UPDATE tallies SET runs = tallies.runs - counted.many
        FROM (SELECT stale.workspace_id, stale.sweep_id, runs.kind, runs.dataset, runs.state, COUNT(*) AS many
              FROM stale JOIN runs USING (workspace_id, run_id)
              GROUP BY stale.workspace_id, stale.sweep_id, runs.kind, runs.dataset, runs.state) AS counted
        WHERE tallies.workspace_id = counted.workspace_id AND tallies.sweep_id = counted.sweep_id
          AND tallies.kind = counted.kind AND tallies.dataset = counted.dataset AND tallies.state = counted.state;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tally_new_run AFTER INSERT ON runs REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION sgonz_tally_runs();

CREATE TRIGGER tally_moved_run AFTER UPDATE ON runs REFERENCING OLD TABLE AS stale NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION sgonz_tally_runs();

CREATE TRIGGER tally_gone_run AFTER DELETE ON runs REFERENCING OLD TABLE AS stale
    FOR EACH STATEMENT EXECUTE FUNCTION sgonz_tally_runs();

CREATE TRIGGER tally_linked_run AFTER INSERT ON sweep_runs REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION sgonz_tally_links();

CREATE TRIGGER tally_unlinked_run AFTER DELETE ON sweep_runs REFERENCING OLD TABLE AS stale
    FOR EACH STATEMENT EXECUTE FUNCTION sgonz_tally_links();
