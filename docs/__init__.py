"""The documentation: pages, what is made for them from the program, and the pictures."""
