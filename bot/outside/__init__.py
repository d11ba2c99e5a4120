"""How calls reach outside systems: children, blobs, the registry, the files of a team's playbooks."""
