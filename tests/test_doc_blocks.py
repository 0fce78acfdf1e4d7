"""Pages' code blocks become scripts whose lines are the page's."""

from pathlib import Path

from doc_blocks import blocks, save_blocks

PAGE = """# Page

```python
first = 1
```

    drytorch runs

```python
# own/tracker.py
NAME = "x"
```

```toml
[project]
```

```python
assert first
1 / 0
```
"""


def test_blocks_are_saved_where_the_page_has_them(tmp_path: Path) -> None:
    """Blocks are one script with the page's own lines, but for those that name a file."""
    page = tmp_path / "some-page.md"
    page.write_text(PAGE, encoding="utf-8")
    assert [number for number, _ in blocks(page)] == [3, 9, 18]
    script = save_blocks(page, tmp_path)
    assert script == tmp_path / "some_page_page.py"
    lines, of_page = script.read_text().splitlines(), PAGE.splitlines()
    kept = [number for number, line in enumerate(lines) if line]
    assert [lines[number] for number in kept] == ["first = 1", "assert first", "1 / 0"]
    assert all(lines[number] == of_page[number] for number in kept)
    assert (tmp_path / "own" / "tracker.py").read_text() == '# own/tracker.py\nNAME = "x"\n'
