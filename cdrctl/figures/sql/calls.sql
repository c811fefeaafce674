-- title: Calls
-- unit: count
-- needs: -
-- by: yes
-- definition: Whole calls, however many legs they had.
-- source: a definition of this program
SELECT /*by*/ count(*) AS numerator, NULL AS denominator FROM calls /*group*/
