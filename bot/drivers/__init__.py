"""WHO CALLS drive(run): a driver promises only that somebody calls ``drive`` again, soon."""
