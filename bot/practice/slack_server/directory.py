"""auth.test, users.*, usergroups.*, team.info and bots.info: who is there."""

from __future__ import annotations

from bot.practice.slack_server.contract import Json, Method, SlackError, flag, need, page
from bot.practice.slack_server.seed import SeedGroup, SeedUser
from bot.practice.slack_server.workspace import Workspace


def auth_test(ws: Workspace, _args: Json) -> Json:
    seed = ws.seed
    return {
        "url": f"{ws.base_url}/",
        "team": seed.team_name,
        "user": ws.manifest.name,
        "team_id": seed.team_id,
        "user_id": seed.bot_user,
        "bot_id": seed.bot_id,
        "is_enterprise_install": False,
    }


def user_info(ws: Workspace, args: Json) -> Json:
    user = need(args, "user", "user_not_found")
    if user == ws.seed.bot_user:
        return {"user": _bot_user(ws)}
    if user not in ws.users:
        raise SlackError("user_not_found")
    return {"user": _user(ws, ws.users[user])}


def user_list(ws: Workspace, args: Json) -> Json:
    everybody = [*(_user(ws, u) for u in ws.users.values()), _bot_user(ws)]
    shown, cursor = page(everybody, args, lambda u: str(u["id"]), default=1000)
    return {"members": shown, "response_metadata": {"next_cursor": cursor}}


def user_by_email(ws: Workspace, args: Json) -> Json:
    for user in ws.users.values():
        if user.email == args.get("email"):
            return {"user": _user(ws, user)}
    raise SlackError("users_not_found")


def _user(ws: Workspace, user: SeedUser) -> Json:
    profile = {"real_name": user.real_name, "display_name": user.name, "title": user.title}
    if "users:read.email" in ws.manifest.scopes:
        profile["email"] = user.email
    return {**_anybody(ws, user.id, user.name), "real_name": user.real_name, "is_bot": False, "profile": profile}


def _bot_user(ws: Workspace) -> Json:
    name = ws.manifest.name
    profile = {"real_name": name, "display_name": name, "bot_id": ws.seed.bot_id, "api_app_id": ws.seed.app_id}
    return {**_anybody(ws, ws.seed.bot_user, name), "real_name": name, "is_bot": True, "profile": profile}


def _anybody(ws: Workspace, user_id: str, name: str) -> Json:
    return {
        "id": user_id,
        "team_id": ws.seed.team_id,
        "name": name,
        "deleted": False,
        "tz": "Etc/UTC",
        "tz_label": "Coordinated Universal Time",
        "tz_offset": 0,
        "is_restricted": False,
        "is_ultra_restricted": False,
    }


def group_list(ws: Workspace, args: Json) -> Json:
    with_users = flag(args, "include_users")
    return {"usergroups": [_group(ws, g, with_users=with_users) for g in ws.groups.values()]}


def _group(ws: Workspace, group: SeedGroup, *, with_users: bool) -> Json:
    shown: Json = {
        "id": group.id,
        "team_id": ws.seed.team_id,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "description": "",
        "date_delete": 0,
        "user_count": len(group.members),
    }
    return shown | ({"users": list(group.members)} if with_users else {})


def group_users(ws: Workspace, args: Json) -> Json:
    group = ws.groups.get(need(args, "usergroup", "no_such_subteam"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": list(group.members)}


def team_info(ws: Workspace, _args: Json) -> Json:
    seed = ws.seed
    return {"team": {"id": seed.team_id, "name": seed.team_name, "domain": seed.team_domain, "email_domain": ""}}


def bot_info(ws: Workspace, args: Json) -> Json:
    seed = ws.seed
    if args.get("bot", seed.bot_id) != seed.bot_id:
        raise SlackError("bot_not_found")
    bot = {"id": seed.bot_id, "app_id": seed.app_id, "user_id": seed.bot_user, "name": ws.manifest.name}
    return {"bot": {**bot, "deleted": False, "updated": 0}}


METHODS = {
    "auth.test": Method(auth_test),
    "users.info": Method(user_info, "users:read"),
    "users.list": Method(user_list, "users:read"),
    "users.lookupByEmail": Method(user_by_email, "users:read.email"),
    "usergroups.list": Method(group_list, "usergroups:read"),
    "usergroups.users.list": Method(group_users, "usergroups:read"),
    "team.info": Method(team_info, "team:read"),
    "bots.info": Method(bot_info, "users:read"),
}
