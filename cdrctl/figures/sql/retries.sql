-- title: Retries after a failure
-- unit: ratio
-- needs: -
-- by: yes
-- definition: Calls from the same number to the same number within 10 minutes after one that failed or was not answered, of all calls.
-- source: a definition of this program
SELECT /*by*/ count(*) FILTER (again) AS numerator, count(*) AS denominator
FROM (
  SELECT *, lag(outcome) OVER pair <> 'answered' AND start_time - lag(start_time) OVER pair <= INTERVAL 10 MINUTE AS again
  FROM calls WINDOW pair AS (PARTITION BY profile, from_number, to_number ORDER BY start_time, call_id)
) AS calls WHERE from_number IS NOT NULL /*group*/
