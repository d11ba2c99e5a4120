"""The command line, by noun. Every command is thin: it asks the store, or puts one row into the inbox and waits."""
