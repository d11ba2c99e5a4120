"""What the app asked for in its manifest; the practice server grants exactly that, so the manifest is tested too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Manifest:
    """The parts of an app manifest that Slack enforces."""

    name: str
    commands: frozenset[str]
    shortcuts: frozenset[str]
    scopes: frozenset[str]
    events: frozenset[str]
    home_tab: bool
    interactive: bool

    @classmethod
    def read(cls, manifest: dict[str, Any]) -> Manifest:
        """From the JSON of ``manifest.json``; what is absent is not granted."""
        features, settings = manifest.get("features", {}), manifest.get("settings", {})
        return cls(
            name=features.get("bot_user", {}).get("display_name", "app"),
            commands=frozenset(c["command"] for c in features.get("slash_commands", [])),
            shortcuts=frozenset(s["callback_id"] for s in features.get("shortcuts", [])),
            scopes=frozenset(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])),
            events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", [])),
            home_tab=bool(features.get("app_home", {}).get("home_tab_enabled")),
            interactive=bool(settings.get("interactivity", {}).get("is_enabled")),
        )
