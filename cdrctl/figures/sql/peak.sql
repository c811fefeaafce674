-- title: Most calls at the same time
-- unit: count
-- needs: end_time
-- by: no-time
-- definition: The largest number of calls between their first start and their last end at one instant; a call that ends at an instant is over before another that starts then.
-- source: a definition of this program
SELECT /*by*/ max(there) AS numerator, NULL AS denominator
FROM (
  SELECT *, sum(change) OVER (/*partition*/ ORDER BY moment, change ROWS UNBOUNDED PRECEDING) AS there
  FROM (
    SELECT *, start_time AS moment, 1 AS change FROM calls WHERE end_time IS NOT NULL
    UNION ALL
    SELECT *, end_time AS moment, -1 AS change FROM calls WHERE end_time IS NOT NULL
  )
) AS calls /*group*/
