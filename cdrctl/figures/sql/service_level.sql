-- title: Service level, of offered calls
-- unit: ratio
-- needs: queue_wait_seconds
-- by: yes
-- definition: Queue calls that a person answered within the threshold (at most that many seconds), of all calls offered to queues.
-- source: ICMI usage, from secondary sources
SELECT /*by*/ count(*) FILTER (outcome = 'answered' AND queue_wait_seconds <= $threshold) AS numerator, count(*) AS denominator
FROM calls WHERE queue IS NOT NULL AND queue_wait_seconds IS NOT NULL /*group*/
