"""Conditions on records, as in `--where 'talk_seconds>60 and direction=inbound'`.

    condition   = conjunction { "or" conjunction }
    conjunction = part { "and" part }
    part        = "not" part | "(" condition ")" | comparison
    comparison  = field [ operator value | ["not"] "in" "(" value { "," value } ")" | "is" ["not"] "null" ]
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"

A field is a word, or any text in backquotes; a value is a word, or any text in quotes, in which a backslash escapes a
quote. The words of the grammar may be in any letter case. The type of a value follows from the column: a number, a
length such as `90`, `2m` or `1:30`, an instant such as `2026-11-19T08:00` or `yesterday`, `true` or `false`, or text.
`~` searches for a regular expression (Python's `re`).

Logic has two values, not three as in SQL: null equals nothing but null, every other comparison with null is false, and
`!=`, `!~` and `not` negate the result.
"""
