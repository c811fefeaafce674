"""The generators: completion, manual pages, generated parts of the documentation, pictures and the walkthrough."""
