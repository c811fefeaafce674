-- title: Talk time
-- unit: seconds
-- needs: talk_seconds
-- by: yes
-- definition: Sum of the seconds in which a person talked.
-- source: a definition of this program
SELECT /*by*/ sum(talk_seconds) AS numerator, NULL AS denominator FROM calls /*group*/
