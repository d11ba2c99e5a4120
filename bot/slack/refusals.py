"""What Slack's refusals mean for us: elsewhere, never, or later."""

from __future__ import annotations

from slack_sdk.errors import SlackApiError

NOT_HERE = frozenset({"channel_not_found", "not_in_channel", "user_not_in_channel", "is_archived", "no_permission"})
ELSEWHERE = NOT_HERE | {
    "restricted_action",
    "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel",
    "restricted_action_non_threadable_channel",
}
HOPELESS = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_arguments",
        "invalid_metadata_format",
        "metadata_too_large",
        "msg_too_long",
        "msg_blocks_too_long",
        "no_text",
        "message_not_found",
        "thread_not_found",
        "cannot_reply_to_message",
        "cant_update_message",
        "edit_window_closed",
        "user_not_found",
        "user_disabled",
        "cannot_dm_bot",
    }
)
"""What the same call will be answered tomorrow too."""


def error_of(e: BaseException) -> str:
    """Slack's word for it (``not_in_channel``), or what happened on the way."""
    data = getattr(e.response, "data", None) if isinstance(e, SlackApiError) else None
    if isinstance(data, dict):
        return str(data.get("error", "no answer that can be read"))
    return f"{type(e).__name__}: {e}"[:200]


def retry_after(e: BaseException) -> float | None:
    """Seconds to wait if Slack says that it was too much; None if that was not it."""
    if not isinstance(e, SlackApiError) or getattr(e.response, "status_code", 0) != 429:
        return None
    try:
        return max(1.0, float(e.response.headers.get("Retry-After", "1")))
    except (TypeError, ValueError):
        return 1.0


def in_full(e: BaseException, error: str) -> str:
    """``error`` with the places in the payload that Slack names."""
    data = getattr(getattr(e, "response", None), "data", None)
    named = (data.get("response_metadata") or {}).get("messages") if isinstance(data, dict) else None
    return f"{error}: {'; '.join(map(str, named[:5]))}" if named else error
