-- title: Average speed of answer
-- unit: seconds
-- needs: queue_wait_seconds
-- by: yes
-- definition: Seconds that answered calls waited in a queue, divided by these calls.
-- source: ICMI usage, from secondary sources
SELECT /*by*/ sum(queue_wait_seconds) AS numerator, count(*) AS denominator
FROM calls WHERE queue IS NOT NULL AND outcome = 'answered' AND queue_wait_seconds IS NOT NULL /*group*/
