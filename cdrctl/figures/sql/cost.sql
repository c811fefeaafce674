-- title: Cost
-- unit: money
-- needs: cost
-- by: yes
-- definition: Exact sum of the costs of calls, in each currency. Calls without a cost are not in it.
-- source: a definition of this program
SELECT /*by*/ currency AS unit, sum(cost) AS numerator, NULL AS denominator
FROM calls WHERE cost IS NOT NULL /*group currency*/
