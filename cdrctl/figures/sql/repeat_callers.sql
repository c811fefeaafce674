-- title: Repeat callers
-- unit: ratio
-- needs: -
-- by: yes
-- definition: Numbers outside that called at least twice within 24 hours, of the numbers outside that called; withheld numbers are in neither.
-- source: a definition of this program
SELECT /*by*/ count(DISTINCT from_number) FILTER (again) AS numerator, count(DISTINCT from_number) AS denominator
FROM (
  SELECT *, start_time - lag(start_time) OVER (PARTITION BY from_number ORDER BY start_time, call_id) <= INTERVAL 24 HOUR AS again
  FROM calls WHERE direction = 'inbound' AND from_number IS NOT NULL
) AS calls /*group*/
