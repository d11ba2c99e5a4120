"""SQL: the only place that imports SQLAlchemy. ``write.py`` is the only way to write."""
