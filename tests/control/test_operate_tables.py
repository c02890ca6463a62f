"""What commands show of control: texts that others chose are texts."""

import asyncio
from pathlib import Path

import typer
from typer.testing import CliRunner
from yarl import URL

from headrace.operate import audit, orders
from tests.control.admin_client import TOKEN, console


async def test_no_text_of_others_is_markup(tmp_path: Path) -> None:
    """Rich ends with an error at `[/b]`, and `[conceal]` hides a row; both may stand in what a stranger asks for."""
    app = typer.Typer()
    audit.register(app)
    orders.register(app)
    file = tmp_path / "token"
    file.write_text(TOKEN)

    async def said(command: str, url: str) -> str:
        arguments = [command, "--control", url, "--token-file", str(file)]
        found = await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"COLUMNS": "400"})
        assert found.exit_code == 0, found.exception
        return found.stdout

    async with console(tmp_path) as desk:
        async with desk.session.get(URL(f"{desk.url}/api/v1/admin/nodes?[/b][conceal]", encoded=True)) as response:
            assert response.status == 401
        assert (await desk.call("POST", "/purge", json={"tag": "[/i][conceal]"}))[0] == 202
        assert "[/b][conceal]" in await said("audit", desk.url)
        assert "[/i][conceal]" in await said("orders", desk.url)
