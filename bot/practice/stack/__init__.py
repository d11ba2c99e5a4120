"""A small real ML platform made on the spot: Feast, Delta, MLflow, a flag file, servers and a busy pipeline.

``build.make_stack`` makes one, ``stack.Stack`` is the handle on it. Nothing is imported here: every call into the
practice feature store imports ``delta_offline`` from this package in a child process of its own.
"""
