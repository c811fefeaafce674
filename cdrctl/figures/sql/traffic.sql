-- title: Carried traffic
-- unit: erlang
-- needs: talk_seconds
-- by: yes
-- definition: Hours of talk, divided by the hours asked for; in groups by time, the talk that fell into the hours of the group, divided by these hours. Blocked calls are not in it: it is less than the traffic offered.
-- source: CCITT B.18 (1988), which defines the erlang, and ITU-T E.600, from secondary sources
SELECT /*by*/ sum(talk_seconds) / 3600.0 AS numerator, $hours AS denominator FROM calls /*group*/
-- by time
WITH quarters AS (  -- of an hour, cut to the window: clocks everywhere change by whole quarters
  SELECT greatest(start_time, $since::TIMESTAMPTZ) AS start_time,
    least(start_time + INTERVAL 15 MINUTE, $until::TIMESTAMPTZ) AS end_time
  FROM (SELECT unnest(generate_series(
    time_bucket(INTERVAL 15 MINUTE, $since::TIMESTAMPTZ), $until::TIMESTAMPTZ, INTERVAL 15 MINUTE)) AS start_time)
  WHERE start_time < $until::TIMESTAMPTZ
), hours AS (
  SELECT /*times*/ sum(epoch(end_time) - epoch(start_time)) / 3600.0 AS hours FROM quarters /*group times*/
), talks AS (
  SELECT *, greatest(coalesce(answer_time, end_time - to_seconds(talk_seconds), start_time), $since::TIMESTAMPTZ) AS talk_since,
    least(coalesce(answer_time, end_time - to_seconds(talk_seconds), start_time) + to_seconds(talk_seconds),
      $until::TIMESTAMPTZ) AS talk_until
  FROM calls WHERE talk_seconds > 0
), shares AS (
  SELECT * REPLACE (greatest(quarter, talk_since) AS start_time),
    epoch(least(quarter + INTERVAL 15 MINUTE, talk_until)) - epoch(greatest(quarter, talk_since)) AS share
  FROM (SELECT *, unnest(generate_series(time_bucket(INTERVAL 15 MINUTE, talk_since), talk_until, INTERVAL 15 MINUTE)) AS quarter
    FROM talks WHERE talk_since < talk_until)
  WHERE quarter < talk_until
)
SELECT /*by*/ sum(share) / 3600.0 AS numerator, any_value(hours) AS denominator
FROM (SELECT shares.*, hours.hours FROM shares JOIN hours ON /*same times*/) AS calls /*group*/
