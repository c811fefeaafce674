-- title: Service level, quick abandons count as served
-- unit: ratio
-- needs: queue_wait_seconds
-- by: yes
-- definition: Queue calls that a person answered within the threshold (at most that many seconds), and those that left within the limit of quick abandons, of all offered calls.
-- source: ICMI usage, from secondary sources
SELECT /*by*/ count(*) FILTER (outcome = 'answered' AND queue_wait_seconds <= $threshold)
  + count(*) FILTER (outcome = 'abandoned' AND queue_wait_seconds <= $short_abandon) AS numerator,
  count(*) AS denominator
FROM calls WHERE queue IS NOT NULL AND queue_wait_seconds IS NOT NULL /*group*/
