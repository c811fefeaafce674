-- title: Answer-seizure ratio
-- unit: ratio
-- needs: -
-- by: yes
-- definition: Calls that anything answered, machines included, of the calls for which that is known.
-- source: ITU-T E.411 and E.425, from secondary sources
SELECT /*by*/ count(*) FILTER (network_answered) AS numerator,
  count(*) FILTER (network_answered IS NOT NULL) AS denominator
FROM calls /*group*/
