"""What the package shares with other processes: forked children, folders, caches."""
