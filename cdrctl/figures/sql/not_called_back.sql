-- title: Missed and not called back
-- unit: ratio
-- needs: -
-- by: yes
-- definition: Missed calls from a number (its last nine digits) with which no person talked within 24 hours, of the missed calls from a number whose 24 hours are over.
-- source: a definition of this program
SELECT /*by*/ count(*) FILTER (NOT reached) AS numerator, count(*) AS denominator
FROM (
  SELECT *, EXISTS (
    SELECT 1 FROM calls AS later
    WHERE later.outcome = 'answered' AND later.start_time > missed.start_time
      AND later.start_time <= missed.start_time + INTERVAL 24 HOUR
      AND right(CASE later.direction WHEN 'inbound' THEN later.from_number ELSE later.to_number END, 9)
        = right(missed.from_number, 9)
  ) AS reached
  FROM calls AS missed
  WHERE direction = 'inbound' AND outcome <> 'answered' AND length(from_number) >= 6
    AND start_time < $until::TIMESTAMPTZ - INTERVAL 24 HOUR
) AS calls /*group*/
