"""Who is asking: the profile file, the environment, secrets, and the tokens that a run has renewed.

A profile is a name, a provider and settings. It stands in a TOML file or in the environment alone, and the
environment wins over the file, setting by setting. A secret may be written down, or be had from a command, a file or
the keyring.

Nothing here reads the process's own environment: it is a parameter, as are the paths. Nothing prints. No error,
warning or `repr` holds a secret; where an exception from below would carry one in its text or its attributes, ours
is raised after that one has been let go, so that it is not even our `__context__`.
"""
