"""Where titles may be played: a row a rule."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table; without rows every title stays open."""
    op.create_table(
        "territories",
        sa.Column("content_id", sa.String(64), nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("allowed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("content_id", "country", name="pk_territories"),
        sa.ForeignKeyConstraint(
            ["content_id"], ["titles.content_id"], name="fk_territories_titles", ondelete="CASCADE"
        ),
    )
