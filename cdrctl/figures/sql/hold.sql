-- title: Average hold
-- unit: seconds
-- needs: hold_seconds
-- by: yes
-- definition: Seconds on hold, divided by the answered calls whose hold time is known.
-- source: a definition of this program
SELECT /*by*/ sum(hold_seconds) FILTER (outcome = 'answered') AS numerator,
  count(hold_seconds) FILTER (outcome = 'answered') AS denominator
FROM calls /*group*/
