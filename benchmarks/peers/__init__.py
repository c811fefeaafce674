"""The programs that cdrctl is compared with, each run as a file in its own process."""
