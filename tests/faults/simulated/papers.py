"""What a team writes and who is in it, without files: one feature, two playbooks, one policy."""

from __future__ import annotations

from typing import Final

from bot.core.errors import Unknown
from bot.core.feature import Feature
from bot.core.playbook import Playbook
from bot.core.policy import Policy
from bot.core.ports import Membership

TARGET: Final = {"target": "sim"}
FARES: Final = Feature.model_validate(
    {"feature": "fares", "channel": "C1", "components": dict.fromkeys(("flag", "pipeline", "dataset", "model"), TARGET)}
)
FRAME: Final = {"timeout": "30s", "retries": 2}
PLAYBOOKS: Final = {
    "standard": [
        {"hold": "pipeline", **FRAME},
        {"disable": "flag", **FRAME},
        {"restore": ["dataset", "model"], **FRAME},
        {"verify": ["dataset", "model"], **FRAME},
        {"enable": "flag", **FRAME},
        {"verify": "flag", **FRAME},
    ],
    "stop": [{"hold": "pipeline", **FRAME}, {"disable": "flag", **FRAME}],
}
BOOKS: Final = {n: Playbook.model_validate({"playbook": n, "steps": steps}) for n, steps in PLAYBOOKS.items()}
POLICY: Final = Policy.model_validate(
    {
        "groups": {"ml-oncall": ["T1/BEN", "T1/CLEO"]},
        "rules": [{"name": "one", "approve": 1, "from": "@ml-oncall"}],
        "approvals_live": "90s",
    }
)


class Papers:
    """``flows.world.Books`` and ``core.ports.People``."""

    def feature_names(self) -> list[str]:
        return ["fares"]

    def feature(self, name: str) -> Feature:
        if name != "fares":
            raise Unknown(f"there is no feature {name!r}.")
        return FARES

    def known_faults(self) -> list[str]:
        return []

    def playbook(self, name: str) -> Playbook:
        return BOOKS[name]

    def policy(self) -> Policy:
        return POLICY

    def policy_fault(self) -> str | None:
        return None

    def page_fault(self) -> str | None:
        return None

    async def group(self, handle: str) -> Membership | None:
        return None

    async def name(self, person: str) -> str:
        return person
