-- The teacher of every data set, its scores, and how far its logits and students are.
SELECT logits.workspace_id, logits.dataset, teacher.model AS teacher, teacher.metric, teacher.validation_loss,
       teacher.validation_score, teacher.test_score, logits.state AS logits, COUNT(student.run_id) AS students,
       SUM(CASE WHEN student.state = 'COMPLETED' THEN 1 ELSE 0 END) AS students_done,
       teacher.run_id AS teacher_run, logits.run_id AS logits_run
FROM runs AS logits
JOIN needs AS source ON source.workspace_id = logits.workspace_id AND source.run_id = logits.run_id
                    AND source.role = 'teacher'
JOIN runs AS teacher ON teacher.workspace_id = source.workspace_id AND teacher.run_id = source.needed_id
LEFT JOIN needs AS lesson ON lesson.workspace_id = logits.workspace_id AND lesson.needed_id = logits.run_id
                         AND lesson.role = 'logits'
LEFT JOIN runs AS student ON student.workspace_id = lesson.workspace_id AND student.run_id = lesson.run_id
WHERE logits.kind = 'logits'
GROUP BY logits.workspace_id, logits.dataset, teacher.model, teacher.metric, teacher.validation_loss,
         teacher.validation_score, teacher.test_score, logits.state, teacher.run_id, logits.run_id
