"""The catalog's tables. Migrations are the law for real databases; a test holds the two equal.

Times are seconds since the epoch (double), so that SQLite and PostgreSQL agree to the bit.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

titles = Table(
    "titles",
    metadata,
    Column("content_id", String(64), primary_key=True),
    Column("title", Text, nullable=False),
    Column("profile", String(64), nullable=False),
    Column("media_status", String(16), nullable=False),
    Column("current_version", String(64)),
    Column("duration_s", Double),
    Column("master_resolution", String(16)),
    Column("hdr_format", String(16)),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)
"""ING-04: the row is there from the moment of ingest."""

territories = Table(
    "territories",
    metadata,
    Column("content_id", ForeignKey("titles.content_id", ondelete="CASCADE"), primary_key=True),
    Column("country", String(2), primary_key=True),
    Column("allowed", Boolean, nullable=False),
)
"""C-38: a rule a row, so that a title can have several countries, and exceptions; a title without rows is open (T-082).
"""

versions = Table(
    "versions",
    metadata,
    Column("content_id", ForeignKey("titles.content_id", ondelete="CASCADE"), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("progress", Double, nullable=False),
    Column("source", JSON, nullable=False),
    Column("duration_s", Double),
    Column("created_at", Double, nullable=False),
    Column("published_at", Double),
    CheckConstraint("(state = 'ready') = (published_at IS NOT NULL)", name="ready_is_published"),
)

_version_key = (["content_id", "version"], ["versions.content_id", "versions.version"])

rungs = Table(
    "rungs",
    metadata,
    Column("content_id", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("codec", String(64), nullable=False),
    Column("kbps", Integer, nullable=False),
    ForeignKeyConstraint(*_version_key, ondelete="CASCADE"),
)
"""T-006: one row per (content, version, rung), so that a retried job cannot make a second."""

assets = Table(
    "assets",
    metadata,
    Column("content_id", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content_type", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    ForeignKeyConstraint(*_version_key, ondelete="CASCADE"),
    CheckConstraint("size >= 0", name="size"),
)
