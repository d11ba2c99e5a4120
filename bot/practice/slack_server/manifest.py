"""What the app asked for in its manifest; the practice server grants exactly that, so the manifest is tested too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Manifest:
    """The parts of an app manifest that Slack enforces. ``shortcuts`` maps a callback_id to what people read;
    ``read_only``: people can't write to the app directly."""

    name: str
    commands: frozenset[str]
    shortcuts: dict[str, str]
    scopes: frozenset[str]
    events: frozenset[str]
    home_tab: bool
    read_only: bool
    interactive: bool

    @classmethod
    def read(cls, manifest: dict[str, Any]) -> Manifest:
        """From the JSON of ``manifest.json``; what is absent is not granted."""
        features, settings = manifest.get("features", {}), manifest.get("settings", {})
        home = features.get("app_home", {})
        return cls(
            name=features.get("bot_user", {}).get("display_name", "app"),
            commands=frozenset(c["command"] for c in features.get("slash_commands", [])),
            shortcuts={s["callback_id"]: s["name"] for s in features.get("shortcuts", [])},
            scopes=frozenset(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])),
            events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", [])),
            home_tab=bool(home.get("home_tab_enabled")),
            read_only=bool(home.get("messages_tab_read_only_enabled")),
            interactive=bool(settings.get("interactivity", {}).get("is_enabled")),
        )
