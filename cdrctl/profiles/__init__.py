"""Profiles: the configuration file, the environment, secrets, renewed tokens and shared rate limits.

A profile is a name, a provider and settings. It is defined in a TOML file or in the environment alone; the environment
wins over the file, setting by setting. A secret is stored in the file, or comes from a command, another file or the
keyring.

Nothing here reads the environment of the process: it is a parameter, as are paths. Nothing prints. No error, warning or
`repr` contains a secret. If an exception from below carries one in its text or its attributes, our own exception is
raised outside its handler, so that it is not our `__context__` either.
"""
