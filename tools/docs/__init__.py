"""The generated parts of the documentation. `python -m tools.docs` writes them.

The pages of the providers hold generated parts between two comments, `<!-- made: errors webex -->` and
`<!-- end of made -->`, so they can be read without a build. A test compares them with the program. The pages under
`reference/` are written whole each time the documentation is built.
"""
