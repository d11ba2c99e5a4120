"""The tests, by what they cost: core and house are pure; the others start real systems on 127.0.0.1."""
