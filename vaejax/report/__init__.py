"""Tables, figures and one HTML page, from the files of a run alone."""

from vaejax.report.comparison import (
    findings,
    log_p_over_seeds,
    over_seeds,
    print_comparison,
)
from vaejax.report.comparison_page import comparison_page
from vaejax.report.cost import draw_cost, print_cost
from vaejax.report.figures import draw, draw_samples, is_image
from vaejax.report.gaps import draw_gaps, print_gaps
from vaejax.report.gradients import print_gradients
from vaejax.report.log_likelihood import draw_log_likelihood, print_log_likelihood
from vaejax.report.page import write_page
from vaejax.report.posterior import draw_posterior, print_posterior
from vaejax.report.table import evaluation_rows, format_table, seeds_table

__all__ = [
    "comparison_page",
    "draw",
    "draw_cost",
    "draw_gaps",
    "draw_log_likelihood",
    "draw_posterior",
    "draw_samples",
    "evaluation_rows",
    "findings",
    "format_table",
    "is_image",
    "log_p_over_seeds",
    "over_seeds",
    "print_comparison",
    "print_cost",
    "print_gaps",
    "print_gradients",
    "print_log_likelihood",
    "print_posterior",
    "seeds_table",
    "write_page",
]
