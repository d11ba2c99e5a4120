"""rollbot check with a Slack that answers: what each name is there, for people and for scripts."""

from __future__ import annotations

import asyncio
import json

from bot.practice.slack_server import PracticeSlack
from tests.cli.terminal import ROOT, Terminal

MANIFEST = json.loads((ROOT / "manifest.json").read_text())


async def test_check_prints_what_each_name_is_in_slack(terminal: Terminal) -> None:
    """Workspace, bot, scopes, channels and groups stand in the text and in the JSON, with their ids."""
    feature = terminal.file("playbooks/features/example.yaml")
    owned = 'owner: "@ml-platform"\nchannel: "#ml-platform"\n'
    lines = [text for text in feature.read_text().splitlines() if not text.startswith(("owner:", "channel:"))]
    feature.write_text("\n".join(lines) + "\n" + owned)
    slack = PracticeSlack(MANIFEST)
    await slack.start()
    env = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_SIGNING_SECRET": "s", "SLACK_API_URL": slack.api_url}
    for_people = await asyncio.to_thread(terminal.program, "check", **env)
    for_scripts = await asyncio.to_thread(terminal.program, "check", "--json", **env)
    await slack.stop()

    assert for_people.code == 0, for_people.out + for_people.err
    said = [" ".join(text.split()) for text in for_people.out.splitlines()]
    wanted = [
        "workspace Practice T0PRACTICE",
        "bot @rollbot U0BOT",
        "channel #ml-platform C0PLAT",
        "group @ml-oncall in policy.yaml 2 members",
        "group @ml-platform S0PLATFORM 4 members",
    ]
    assert [words for words in wanted if words not in said] == []
    assert any(text.startswith("Scopes: ") and "usergroups:read" in text for text in said)
    found = for_scripts.json["slack"]
    assert {"kind": "channel", "name": "#ml-platform", "id": "C0PLAT", "members": None} in found["names"]
    assert "chat:write" in found["scopes"]
