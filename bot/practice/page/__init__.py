"""The practice page: what each person sees, as JSON and as a stream of changes, and what they do. docs/decisions/0013.

server.py    routes and policy        state.py      what one person sees
acts.py      what a person does       fields.py     what is read from a body
streams.py   who listens              feed.py       changes, as each person sees them
inspector.py what went to and fro     trouble.py    what a trainer makes go wrong
setup.py     until all is ready       keeper.py     the bot comes back
panels.py    what the incident panel and the tour have to offer
"""

from bot.practice.page.server import PracticePage

__all__ = ["PracticePage"]
