-- title: Missed calls
-- unit: count
-- needs: -
-- by: yes
-- definition: Inbound calls that no person answered.
-- source: a definition of this program
SELECT /*by*/ count(*) AS numerator, NULL AS denominator
FROM calls WHERE direction = 'inbound' AND outcome <> 'answered' /*group*/
