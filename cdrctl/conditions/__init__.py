"""Conditions on records, as `--where` has them: `talk_seconds>60 and direction=inbound`.

    condition   = conjunction { "or" conjunction }
    conjunction = part { "and" part }
    part        = "not" part | "(" condition ")" | comparison
    comparison  = field [ operator value | ["not"] "in" "(" value { "," value } ")" | "is" ["not"] "null" ]
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"

A field is a word, or anything in backquotes; a value is a word, or anything in quotes, in which a backslash stands
before a quote that is meant. Words of the grammar may be in any case. What a value means follows from the column: a
number, a length such as `90`, `2m` or `1:30`, an instant such as `2026-11-19T08:00` or `yesterday`, `true` or `false`,
or text. `~` looks for a regular expression (Python's `re`).

There are two truths and not three: nothing is equal to null but null, no comparison with null holds, and `!=`, `!~`
and `not` turn the answer around.
"""
