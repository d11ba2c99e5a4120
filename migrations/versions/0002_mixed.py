"""A release can be live with another release's data: a rollback left a component out, or ended half-way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("stints", sa.Column("mixed", sa.Text(), nullable=True))
