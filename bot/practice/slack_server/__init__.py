"""A local Slack on 127.0.0.1, as strict as the real one: ``PracticeSlack`` serves the Web API, signed HTTP and
Socket Mode, and lets people act.

seed.py        who is there                      records.py   messages, views, channels and their Slack JSON
manifest.py    what the app asked for            changes.py   telling those who wait that something changed
workspace.py   the state                         contract.py  what an API method is, and how it refuses
api.py         the gate in front of the methods  chat.py conversations.py views.py directory.py   the methods
strain.py      pacing and injected faults        response_urls.py   what comes in through a response_url
payloads.py    what the app is sent              blocks.py inputs.py   ids, buttons, and what people fill in
deliver.py     signed_http.py sockets.py         how it is sent
people.py      what people do                    server.py    all of it on one port
"""

from bot.practice.slack_server.contract import SlackError
from bot.practice.slack_server.deliver import Ack
from bot.practice.slack_server.inputs import CannotDo
from bot.practice.slack_server.records import Message, View
from bot.practice.slack_server.seed import Seed, default_seed
from bot.practice.slack_server.server import PracticeSlack

__all__ = ["Ack", "CannotDo", "Message", "PracticeSlack", "Seed", "SlackError", "View", "default_seed"]
