"""SLACK: the only place that speaks Slack.

app.py        Bolt and the sockets              origin.py     who sends what, and is it allowed
handlers.py   the listeners                     desk.py       what every handler works with
commands/     what can be typed                 presses.py    what can be pressed and submitted
publish.py    what should stand gets sent       render.py notify.py places.py pace.py   what, to whom, where, when
views/        what it says                      lint.py       what Slack would refuse
checkup.py    what would fail in the night
people.py     groups and names                  client.py reply.py refusals.py          the way out
"""
