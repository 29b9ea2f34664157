"""The console and the pages of errors: self-contained, and closed to everything else."""

from __future__ import annotations

import re

import pytest

from api.http.problem import KINDS
from api.http.resources.pages import FILES, FOLDER
from tests.api.http.world import World


async def test_the_console_asks_only_for_its_own_files_and_for_all_of_them(world: World) -> None:
    page = await world.stranger.get("/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    asked: list[str] = re.findall(r'(?:src|href)="([^"#]+)"', page.body.decode())
    for path in asked:
        file = await world.stranger.get(path)
        assert file.status == 200, path
        if path.endswith(".js"):
            imported = re.findall(
                r'^import .* from "\./([\w.]+)";$', file.body.decode(), re.MULTILINE
            )
            asked += [url for name in imported if (url := f"/console/{name}") not in asked]
    assert sorted({*asked}) == sorted(f"/console/{name}" for name in FILES)
    assert sorted(FILES) == sorted({path.name for path in FOLDER.iterdir()} - {"index.html"})


async def test_the_console_runs_under_a_policy_that_lets_nothing_else_in(world: World) -> None:
    page = await world.stranger.get("/")
    policy = dict(
        rule.strip().split(" ", 1) for rule in page.headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    markup = page.body.decode()
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", markup) == []


@pytest.mark.parametrize("name", ["index.html", "..%2fapp.py", "console.py", "x"])
async def test_no_other_file_is_given_out(world: World, name: str) -> None:
    assert (await world.stranger.get(f"/console/{name}")).problem == (404, "not_found")


async def test_every_code_has_its_page(world: World) -> None:
    for code, kind in KINDS.items():
        page = await world.stranger.get(f"/docs/errors/{code}")
        assert (page.status, f"HTTP status {kind.status}" in page.body.decode()) == (200, True)
    assert (await world.stranger.get("/docs/errors/x")).problem == (404, "not_found")
