"""The bot's own settings, from the environment. Only wiring reads them; other systems are in targets.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.core.errors import Fault


class Settings(BaseSettings):
    """Each field's environment variable is its alias. Defaults serve a first try in an empty folder."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    database_url: str = Field(default="sqlite:///rollbot.db", alias="ROLLBOT_DATABASE_URL")
    playbooks: Path = Field(default=Path("playbooks"), alias="ROLLBOT_PLAYBOOKS")
    artifacts: str = Field(default="artifacts", alias="ROLLBOT_ARTIFACTS")
    host: str = Field(default="127.0.0.1", alias="ROLLBOT_HOST")
    port: int = Field(default=3000, alias="PORT", ge=0, le=65535)
    driver: Literal["embedded", "dbos"] = Field(default="embedded", alias="ROLLBOT_DRIVER")
    slack_bot_token: SecretStr = Field(default=SecretStr(""), alias="SLACK_BOT_TOKEN")
    slack_signing_secret: SecretStr = Field(default=SecretStr(""), alias="SLACK_SIGNING_SECRET")
    slack_app_token: SecretStr = Field(default=SecretStr(""), alias="SLACK_APP_TOKEN")
    slack_api_url: str = Field(default="https://slack.com/api/", alias="SLACK_API_URL")
    workspaces: str = Field(default="", alias="ROLLBOT_WORKSPACES")
    hook_tokens: SecretStr = Field(default=SecretStr(""), alias="ROLLBOT_HOOK_TOKENS")
    key: SecretStr = Field(default=SecretStr(""), alias="ROLLBOT_KEY")
    audit_key_file: Path = Field(default=Path("rollbot-audit.key"), alias="ROLLBOT_AUDIT_KEY_FILE")
    audit_log: str = Field(default="rollbot", alias="ROLLBOT_AUDIT_LOG")
    child_log: Path | None = Field(default=None, alias="ROLLBOT_CHILD_LOG")
    child_memory_gib: float = Field(default=4.0, alias="ROLLBOT_CHILD_MEMORY_GIB", gt=0)

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("write sqlite:///file.db or postgresql://user@host/database")
        return value.replace("postgres://", "postgresql://", 1)

    @field_validator("driver")
    @classmethod
    def _on_this_database(cls, value: str, info: ValidationInfo) -> str:
        if value == "dbos" and str(info.data.get("database_url", "")).startswith("sqlite"):
            raise ValueError("dbos needs PostgreSQL: set ROLLBOT_DATABASE_URL=postgresql://..., or leave this one out")
        return value

    @property
    def allowed_workspaces(self) -> frozenset[str]:
        """Team ids; empty means only the one that the bot's token belongs to."""
        return frozenset(w.strip() for w in self.workspaces.split(",") if w.strip())

    @field_validator("hook_tokens")
    @classmethod
    def _named(cls, value: SecretStr) -> SecretStr:
        pairs = [p for p in value.get_secret_value().split(",") if p.strip()]
        if any(not all(part.strip() for part in p.partition("=")[::2]) for p in pairs):
            raise ValueError("write NAME=TOKEN,NAME=TOKEN: the name stands in the audit log")
        return value

    @property
    def tokens(self) -> dict[str, str]:
        """Token -> the name it goes by in the audit log, from ``name=token,name=token``."""
        pairs = [p.split("=", 1) for p in self.hook_tokens.get_secret_value().split(",") if "=" in p]
        return {token.strip(): name.strip() for name, token in pairs if token.strip()}

    @property
    def database_file(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        if not self.database_url.startswith("sqlite:///"):
            return None
        return Path(self.database_url.removeprefix("sqlite:///"))


def load(**overrides: object) -> Settings:
    """From the environment. Raises Fault naming the variable."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as e:
        first = e.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        raise Fault(f"{first['loc'][0]}: {said}", file="environment") from e
