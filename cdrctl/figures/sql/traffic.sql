-- title: Carried traffic
-- unit: erlang
-- needs: talk_seconds
-- by: total
-- definition: Hours of talk, divided by the hours asked for. Blocked calls are not in it: it is less than the traffic offered.
-- source: ITU-T E.600, from secondary sources
SELECT /*by*/ sum(talk_seconds) / 3600.0 AS numerator, $hours AS denominator FROM calls /*group*/
