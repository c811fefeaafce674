-- title: Network effectiveness ratio
-- unit: ratio
-- needs: reached
-- by: yes
-- definition: Calls that the network brought to the far end: answered by anything, busy, not answered, cancelled while ringing or rejected; of the calls whose outcome is known.
-- source: ITU-T E.425, from secondary sources
SELECT /*by*/
  count(*) FILTER (network_answered OR outcome IN ('busy', 'no_answer', 'cancelled', 'rejected')) AS numerator,
  count(*) FILTER (outcome <> 'unknown') AS denominator
FROM calls /*group*/
