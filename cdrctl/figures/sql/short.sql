-- title: Short calls
-- unit: ratio
-- needs: -
-- by: yes
-- definition: Answered calls with less than 6 seconds of talk, of the answered calls whose talk time is known.
-- source: a definition of this program
SELECT /*by*/ count(*) FILTER (short) AS numerator, count(*) FILTER (outcome = 'answered' AND short IS NOT NULL) AS denominator
FROM calls /*group*/
