"""Titles, versions, rungs, assets."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    _titles()
    _versions()
    _rungs()
    _assets()


def _titles() -> None:
    op.create_table(
        "titles",
        sa.Column("content_id", sa.String(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("media_status", sa.String(16), nullable=False),
        sa.Column("current_version", sa.String(64)),
        sa.Column("duration_s", sa.Double),
        sa.Column("master_resolution", sa.String(16)),
        sa.Column("hdr_format", sa.String(16)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("content_id", name="pk_titles"),
    )


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("content_id", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("source", sa.JSON, nullable=False),
        sa.Column("duration_s", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("published_at", sa.Double),
        sa.PrimaryKeyConstraint("content_id", "version", name="pk_versions"),
        sa.ForeignKeyConstraint(["content_id"], ["titles.content_id"], name="fk_versions_titles", ondelete="CASCADE"),
        sa.CheckConstraint(
            "(state = 'ready') = (published_at IS NOT NULL)", name=op.f("ck_versions_ready_is_published")
        ),
    )


def _rungs() -> None:
    op.create_table(
        "rungs",
        *_version_columns(),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("codec", sa.String(64), nullable=False),
        sa.Column("kbps", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("content_id", "version", "name", name="pk_rungs"),
        _version_key("rungs"),
    )


def _assets() -> None:
    op.create_table(
        "assets",
        *_version_columns(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("content_type", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("content_id", "version", "name", name="pk_assets"),
        _version_key("assets"),
        sa.CheckConstraint("size >= 0", name=op.f("ck_assets_size")),
    )


def _version_columns() -> list[sa.Column[str]]:
    return [
        sa.Column("content_id", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
    ]


def _version_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["content_id", "version"],
        ["versions.content_id", "versions.version"],
        name=f"fk_{table}_versions",
        ondelete="CASCADE",
    )
