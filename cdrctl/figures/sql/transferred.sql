-- title: Transferred calls
-- unit: ratio
-- needs: -
-- by: yes
-- definition: Answered calls that were transferred at least once, of the answered calls.
-- source: a definition of this program
SELECT /*by*/ count(*) FILTER (transfers > 0) AS numerator, count(*) AS denominator
FROM calls WHERE outcome = 'answered' /*group*/
