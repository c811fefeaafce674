-- title: Calls that a person answered
-- unit: count
-- needs: -
-- by: yes
-- definition: Calls whose outcome is answered: an employee, a room, or the far end of a call out.
-- source: a definition of this program
SELECT /*by*/ count(*) FILTER (outcome = 'answered') AS numerator, NULL AS denominator FROM calls /*group*/
