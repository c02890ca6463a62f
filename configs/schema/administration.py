"""Settings of control's admin API and console."""

from pathlib import Path

from pydantic import Field

from configs.schema.base import Seconds, Settings


class AdministrationSettings(Settings):
    """Limits of the admin listener, and where it keeps what it must not forget."""

    rate_per_min: int = Field(default=200, ge=1, le=100_000)
    """Calls of one token in any 60 s (RAT-01: admin)."""
    burst: int = Field(default=50, ge=0, le=100_000)
    """Calls above that before 429 (RAT-01)."""
    failures_per_min: int = Field(default=60, ge=1, le=10_000)
    """Calls without a good credential from one address in any 60 s; further ones get 429, and are counted in the
    audit log."""
    idempotency_s: Seconds = 86_400
    """How long the answer to an idempotency key is kept (IDM-02)."""
    max_keys: int = Field(default=10_000, ge=10, le=1_000_000)
    """Idempotency keys kept for one token; the oldest go first."""
    max_tokens: int = Field(default=1000, ge=1, le=100_000)
    """API tokens at most."""
    longest_token_s: Seconds = 31_536_000
    """Longest life of an API token."""
    audit_entries: int = Field(default=100_000, ge=100, le=10_000_000)
    """Entries of the audit log that are kept; the oldest go first."""
    state_dir: Path | None = None
    """Without Redis: directory for API tokens and the audit log. None: they end with the process."""
    open_console: bool = False
    """Loopback may look at the console without logging in; only where `admin` is a loopback address."""
