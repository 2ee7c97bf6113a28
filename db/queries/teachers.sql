-- Who teaches on each data set, and how many of its students are done.
SELECT dataset, teacher, metric, validation_loss, validation_score, test_score, logits, students, students_done,
       teacher_run, logits_run
FROM teachers
WHERE workspace_id = :workspace
ORDER BY dataset, teacher
