"""What docs/tutorial.md tells its reader to type shows what the page shows."""

from pathlib import Path

from docs.site import tutorial
from tests.support.ports import free_port
from tests.support.service import environment


def test_the_tutorial_shows_what_its_page_shows(own_url: str, tmp_path: Path) -> None:
    pictures: list[str] = []
    env = environment(CCS_DATABASE_URL=own_url, CCS_ACCESS_LOG="off")
    tutorial.player_here(tmp_path, env, lambda name, _: pictures.append(name), free_port()).play()
    assert pictures


def test_the_bot_of_the_tutorial_is_short() -> None:
    lines = {part.name: part.text.count("\n") for part in tutorial.parts() if part.name}
    assert lines.keys() == {"bot.py", "desktop.py"}
    assert lines["bot.py"] <= 30
