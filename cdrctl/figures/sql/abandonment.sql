-- title: Abandonment
-- unit: ratio
-- needs: queue_wait_seconds
-- by: yes
-- definition: Calls that left a queue without an answer, of the calls offered to queues; calls that left within the limit of quick abandons are in neither.
-- source: COPC and ICMI usage, from secondary sources
SELECT /*by*/ count(*) FILTER (outcome = 'abandoned') AS numerator, count(*) AS denominator
FROM calls
WHERE queue IS NOT NULL AND queue_wait_seconds IS NOT NULL
  AND NOT (outcome = 'abandoned' AND queue_wait_seconds <= $short_abandon) /*group*/
