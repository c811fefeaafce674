"""The programs that cdrctl is measured against. Each is run as a file, in a process of its own."""
