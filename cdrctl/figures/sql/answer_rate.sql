-- title: Answer rate of calls from outside
-- unit: ratio
-- needs: -
-- by: yes
-- definition: Inbound calls that a person answered, of all inbound calls.
-- source: a definition of this program
SELECT /*by*/ count(*) FILTER (outcome = 'answered') AS numerator, count(*) AS denominator
FROM calls WHERE direction = 'inbound' /*group*/
