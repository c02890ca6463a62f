"""A node gets its credential from control, once, with the token that an operator made for it."""

import aiohttp

from control.contract.credential import Credential
from control.contract.enrolment import ENROL_PATH, EnrolAnswer, EnrolRequest
from control.node.link import checked_url, exchange

TIMEOUT_S = 10.0


async def fetch(control: str, asked: EnrolRequest) -> Credential:
    """The credential; the token is used up. SettingsError for an unsafe URL, UpstreamFailed when control is away or
    refuses."""
    url = checked_url(control).rstrip("/") + ENROL_PATH
    async with aiohttp.ClientSession() as session:
        told = await exchange(session, "POST", url, {}, asked.encode(), EnrolAnswer, timeout_s=TIMEOUT_S)
    return Credential(told.id, told.role, dict(told.secrets), dict(told.accepts), told.serial)
