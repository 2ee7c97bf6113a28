-- Keep `tallies` true to `runs` and `sweep_runs`, row by row. Sweep 0 stands for the whole work folder.
-- A run's sweeps are asked for one sweep at a time: asked by run alone, SQLite without statistics reads every link.
CREATE TRIGGER tally_new_run AFTER INSERT ON runs BEGIN
    INSERT INTO tallies (workspace_id, sweep_id, kind, dataset, state, runs)
    VALUES (NEW.workspace_id, 0, NEW.kind, NEW.dataset, NEW.state, 1)
    ON CONFLICT (workspace_id, sweep_id, kind, dataset, state) DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER tally_moved_run AFTER UPDATE OF state ON runs WHEN OLD.state <> NEW.state BEGIN
    UPDATE tallies SET runs = runs - 1
    WHERE workspace_id = OLD.workspace_id AND kind = OLD.kind AND dataset = OLD.dataset AND state = OLD.state
      AND (sweep_id = 0 OR EXISTS (
          SELECT 1 FROM sweep_runs AS link
          WHERE link.workspace_id = OLD.workspace_id AND link.sweep_id = tallies.sweep_id
            AND link.run_id = OLD.run_id));
    INSERT INTO tallies (workspace_id, sweep_id, kind, dataset, state, runs)
    SELECT NEW.workspace_id, sweep_id, NEW.kind, NEW.dataset, NEW.state, 1
    FROM (SELECT 0 AS sweep_id UNION ALL
          SELECT id FROM sweeps WHERE workspace_id = NEW.workspace_id AND EXISTS (
              SELECT 1 FROM sweep_runs AS link
              WHERE link.workspace_id = NEW.workspace_id AND link.sweep_id = sweeps.id
                AND link.run_id = NEW.run_id))
    WHERE TRUE
    ON CONFLICT (workspace_id, sweep_id, kind, dataset, state) DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER tally_gone_run AFTER DELETE ON runs BEGIN
    UPDATE tallies SET runs = runs - 1
    WHERE workspace_id = OLD.workspace_id AND sweep_id = 0 AND kind = OLD.kind AND dataset = OLD.dataset
      AND state = OLD.state;
END;

CREATE TRIGGER tally_linked_run AFTER INSERT ON sweep_runs BEGIN
    INSERT INTO tallies (workspace_id, sweep_id, kind, dataset, state, runs)
    SELECT NEW.workspace_id, NEW.sweep_id, kind, dataset, state, 1
    FROM runs WHERE workspace_id = NEW.workspace_id AND run_id = NEW.run_id
    ON CONFLICT (workspace_id, sweep_id, kind, dataset, state) DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER tally_unlinked_run AFTER DELETE ON sweep_runs BEGIN
    UPDATE tallies SET runs = runs - 1
    WHERE workspace_id = OLD.workspace_id AND sweep_id = OLD.sweep_id
      AND (kind, dataset, state) = (SELECT kind, dataset, state FROM runs
                                    WHERE workspace_id = OLD.workspace_id AND run_id = OLD.run_id);
END;
