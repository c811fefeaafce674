-- title: Average call duration
-- unit: seconds
-- needs: -
-- by: yes
-- definition: Seconds in which a person talked, divided by the calls that a person answered and whose talk time is known.
-- source: ITU-T E.411 (average length of conversation), from secondary sources
SELECT /*by*/ sum(talk_seconds) FILTER (outcome = 'answered') AS numerator,
  count(talk_seconds) FILTER (outcome = 'answered') AS denominator
FROM calls /*group*/
