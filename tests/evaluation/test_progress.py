"""How far work has come, in a log."""

from vaejax.evaluation import progress


def test_a_log_has_few_lines_and_no_carriage_return(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress_bar(1000, 200, what="train") as bar:
        for _ in range(800):
            now[0] += 0.5  # a tenth takes 50 seconds
            bar.set_postfix_str("objective -1", refresh=False)
            bar.update(1)
    printed = capsys.readouterr().err
    assert "\r" not in printed
    lines = printed.splitlines()
    assert len(lines) == 8
    assert lines[0] == "train: 300 of 1,000 steps, 50 s, 2 steps/s, objective -1"
    assert lines[-1].startswith("train: 1,000 of 1,000 steps, 400 s")


def test_quick_work_has_one_line(capsys):
    with progress.progress_bar(50, unit="example", what="gaps") as bar:
        for _ in range(50):
            bar.update(1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gaps: 50 of 50 examples")


def test_work_done_at_once_has_no_count_and_no_rate(capsys):
    with progress.progress_bar(1, unit="example", what="evaluation: summary") as bar:
        bar.update(1)
    assert capsys.readouterr().err == "evaluation: summary: 0 s\n"
