"""What people see, as pure functions from a Scene to text and blocks; everything they answer passes the lint."""
