"""Tables as text, for terminals of any width."""

from vaejax.text_table import text_table

HEADER = ["", "mean", "+- data", "unit, meaning"]
ROWS = [
    ["-log p(x)", "22.209", "0.245", "nats; an upper bound on -log p(x) in expectation"],
    ["active units", "8 of 8", "", "of these examples: variance of E_q[z] over x above 0.01"],
]


def words(text):
    return sorted(text.split())


def test_columns_are_aligned_where_there_is_room():
    for width in (0, 200):
        lines = text_table(HEADER, ROWS, width).splitlines()
        assert len(lines) == 3
        unit, mean = ("unit", "nats", "of these"), ("mean", "209", "of 8")
        assert len({line.index(word) for line, word in zip(lines, unit, strict=True)}) == 1
        assert len({line.index(w) + len(w) for line, w in zip(lines, mean, strict=True)}) == 1


def test_a_narrow_terminal_wraps_the_last_column():
    wide, narrow = text_table(HEADER, ROWS, 0), text_table(HEADER, ROWS, 70)
    assert max(map(len, narrow.splitlines())) <= 70
    assert words(narrow) == words(wide)


def test_a_very_narrow_one_has_a_line_for_each_cell():
    lines = text_table(HEADER, ROWS, 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[:3] == ["-log p(x)", "  mean: 22.209", "  +- data: 0.245"]
    assert not any(line.strip() == "+- data:" for line in lines)
