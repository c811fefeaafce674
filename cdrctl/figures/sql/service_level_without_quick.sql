-- title: Service level, without quick abandons
-- unit: ratio
-- needs: queue_wait_seconds
-- by: yes
-- definition: Queue calls that a person answered within the threshold (at most that many seconds), of the offered calls without those that left within the limit of quick abandons.
-- source: ICMI usage, from secondary sources
SELECT /*by*/ count(*) FILTER (outcome = 'answered' AND queue_wait_seconds <= $threshold) AS numerator,
  count(*) - count(*) FILTER (outcome = 'abandoned' AND queue_wait_seconds <= $short_abandon) AS denominator
FROM calls WHERE queue IS NOT NULL AND queue_wait_seconds IS NOT NULL /*group*/
