"""The app as a whole: what it asks of Slack is what the manifest says, and it lives through what Slack does to it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp

from bot.practice.slack_server import PracticeSlack
from bot.slack import checkup
from bot.slack.app import SlackApp, SlackConfig
from bot.slack.handlers import COMMAND, EVENTS, SHORTCUT
from tests.services import FakeClock
from tests.slack.office import ANA, INC, MANIFEST, Office, actions, open_office

SOURCE = Path(__file__).parents[2] / "bot" / "slack"
METHOD_SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "conversations.list": "channels:read groups:read",
    "conversations.info": "channels:read groups:read",
    "conversations.history": "channels:history groups:history",
    "conversations.replies": "channels:history groups:history",
    "usergroups.list": "usergroups:read",
    "users.info": "users:read",
    "chat.getPermalink": "",
    "views.open": "",
    "views.push": "",
    "views.update": "",
    "views.publish": "",
    "auth.test": "",
    "apps.connections.open": "",
}


def called() -> set[str]:
    """Every method of Slack's client that the code names."""
    text = "".join(p.read_text(encoding="utf-8") for p in SOURCE.rglob("*.py"))
    return {m for m in METHOD_SCOPES if f".{m.replace('.', '_')}" in text}


def test_the_manifest_says_what_the_code_does() -> None:
    """Commands, shortcuts, events and scopes: all that the code uses, and nothing that it doesn't."""
    features, settings = MANIFEST["features"], MANIFEST["settings"]
    assert [c["command"] for c in features["slash_commands"]] == [COMMAND]
    assert [s["callback_id"] for s in features["shortcuts"]] == [SHORTCUT]
    assert settings["event_subscriptions"]["bot_events"] == list(EVENTS)
    assert settings["interactivity"]["is_enabled"] and features["app_home"]["home_tab_enabled"]
    used = {scope for method in called() for scope in METHOD_SCOPES[method].split()}
    # commands is needed by every app with a command, im:write to begin direct messages with approvers.
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == used | {"commands", "im:write"} == set(checkup.SCOPES)


def test_every_call_has_its_scope_listed() -> None:
    """A new method of Slack's client in the code must be added to the table above, with its scope."""
    text = "".join(p.read_text(encoding="utf-8") for p in SOURCE.rglob("*.py"))
    found = {m.replace("_", ".", 1) for m in re.findall(r"client\.([a-z]+_[a-zA-Z]+)\b", text)} - {
        "api.call",
        "base.url",
    }
    assert len(found) > 8 and found <= set(METHOD_SCOPES), found - set(METHOD_SCOPES)


async def test_the_listeners_are_those_of_the_manifest(office: Office) -> None:
    """Bolt has a listener for the command, the shortcut and each event."""
    bolt: AsyncApp = office.app._bolt
    assert (await office.slack.slash(COMMAND, "help", ANA, INC)).ok
    assert (await office.slack.shortcut(SHORTCUT, ANA)).ok
    for event in EVENTS:
        assert (await office.slack.event({"type": event, "user": ANA, "tab": "messages"})).ok
    assert len(bolt._async_listeners) == 6 + len(EVENTS)
    await office.app.desk.idle()


async def test_sockets_come_back(tmp_path: Path, clock: FakeClock) -> None:
    """Slack refreshes its connections every few hours: what people do meanwhile still arrives."""
    async with open_office(tmp_path, clock, "socket") as office:
        await office.slack.disconnect()
        assert (await office.typed("help")).ok
        await office.slack.wait_for(lambda: office.slack.connections == 2, 30)
        assert (await office.typed("help")).ok and office.app.connected


async def test_slack_is_down_at_the_start(tmp_path: Path, clock: FakeClock, monkeypatch: Any) -> None:
    """The bot starts all the same, and takes nothing in until it knows which workspace is its own."""
    monkeypatch.setattr("bot.slack.app.FIRST_S", 0.2)
    monkeypatch.setattr("bot.slack.app.AGAIN_S", 0.1)
    async with open_office(tmp_path, clock, "http") as office:
        other = SlackApp(office.house.world, office.app.config)
        office.slack.fault("auth.test", times=5, error="internal_error")
        await other.start()
        assert not other.connected and other.workspaces == frozenset()
        await office.slack.wait_for(lambda: sum(c.method == "auth.test" for c in office.slack.calls) >= 7, 30)
        assert other._starting is not None
        await other._starting
        assert other.connected and other.workspaces == {"T0PRACTICE"}
        await other.stop()


async def test_a_worker_alone_takes_nothing_in(tmp_path: Path, clock: FakeClock) -> None:
    """Without listening there is no socket, and messages are sent all the same."""
    async with open_office(tmp_path, clock, "socket") as office:
        before = office.slack.connections
        worker = SlackApp(office.house.world, office.app.config)
        await worker.start(listen=False)
        assert office.slack.connections == before and not worker.connected
        await office.waiting()
        assert actions(office.card()) == ["approve", "reject", "stop_harm", "details"]
        await worker.stop()


async def test_the_checkup_finds_nothing_where_all_is_well(office: Office) -> None:
    """Token, scopes, channels and groups as they should be, each name with the id that it resolved to."""
    policy = office.house.folder / "playbooks/policy.yaml"
    policy.write_text(
        policy.read_text() + "groups: {leads: [U0LEA]}\nbreak_glass: [leads]\naudit_channel: '#rollbot-audit'\n"
    )
    found = await office.app.check()
    assert (found.faults, found.warnings) == ([], [])
    assert [(n.kind, n.name, n.id, n.members) for n in found.names] == [
        ("workspace", "Practice", "T0PRACTICE", None),
        ("bot", "@rollbot", "U0BOT", None),
        ("channel", "#ml-platform", "C0PLAT", None),
        ("channel", "#rollbot-audit", "C0AUDIT", None),
        ("group", "@leads", "in policy.yaml", 1),
        ("group", "@ml-oncall", "S0ONCALL", 3),
    ]
    assert set(found.scopes) >= set(checkup.SCOPES)


@pytest.mark.parametrize("channel", ["#nowhere", "#secret-war-room"])
async def test_an_audit_channel_that_can_not_be_posted_to_is_a_fault(office: Office, channel: str) -> None:
    """Checkpoints would be lost without a word."""
    policy = office.house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text() + f"audit_channel: '{channel}'\n")
    said = (await office.app.check()).faults
    assert len(said) == 1 and channel in said[0] and "audit_channel" in said[0]


async def test_a_token_without_any_scope_is_a_fault(tmp_path: Path, clock: FakeClock) -> None:
    """Slack names none, with an empty header: that is said in one line of its own."""
    async with open_office(tmp_path, clock, "http") as office:
        slack = PracticeSlack({**MANIFEST, "oauth_config": {"scopes": {"bot": []}}})
        await slack.start()
        app = SlackApp(office.house.world, SlackConfig(slack.bot_token, "s", None, slack.api_url))
        found = await app.check()
        await slack.stop()
    assert "Slack: the token has no scope at all; install the app as manifest.json describes it" in found.faults
    assert found.scopes == []


async def test_the_checkup_names_each_fault(tmp_path: Path, clock: FakeClock) -> None:
    """One line for each thing that would fail in the night."""
    poor = {
        **MANIFEST,
        "oauth_config": {
            "scopes": {"bot": ["commands", "chat:write", "channels:read", "groups:read", "usergroups:read"]}
        },
    }
    async with open_office(tmp_path, clock, "http") as office:
        slack = PracticeSlack(poor)
        await slack.start()
        slack.workspace.leave("U0BOT", "C0PLAT")
        config = SlackConfig(
            bot_token=slack.bot_token, signing_secret="s", api_url=slack.api_url, workspaces=frozenset({"T9"})
        )
        app = SlackApp(office.house.world, config)
        (office.house.folder / "playbooks/policy.yaml").write_text(
            'policy: 1\ncontrol: ["@nobody", requester]\nescalate: "@asleep"\n'
        )
        found = (await app.check()).faults
        bad = (await SlackApp(office.house.world, SlackConfig("xoxb-no", "s", None, slack.api_url)).check()).faults
        await slack.stop()
    assert "Slack: the bot token belongs to T0PRACTICE, which ROLLBOT_WORKSPACES does not list" in found
    assert "Slack: scope users:read is missing (to name people)" in found
    assert "Slack: the bot is not in channel #ml-platform (C0PLAT); invite it there" in found
    for group in ("nobody", "asleep"):
        assert f"Slack: there is no user group @{group}, or it has no members" in found
    assert bad == ["Slack: auth.test: invalid_auth; is SLACK_BOT_TOKEN right?"]


async def test_stopping_loses_no_open_task(office: Office) -> None:
    """What runs behind acks ends with the app; nothing is left pending."""
    await office.two_releases()
    office.slack.fault("views.open", delay=5)
    await office.typed("")
    await asyncio.wait_for(office.app.desk.stop(), 2)
    assert not office.app.desk._tasks


def test_secrets_are_not_printed() -> None:
    """A config in a log or a traceback shows no token."""
    shown = repr(SlackConfig("xoxb-1", "secret-2", "xapp-3"))
    assert not [s for s in ("xoxb-1", "secret-2", "xapp-3") if s in shown]
