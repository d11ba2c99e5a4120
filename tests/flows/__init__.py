"""The verbs against real stores and real targets, the loop driven by hand."""
