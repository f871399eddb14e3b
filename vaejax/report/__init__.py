"""Text, HTML and Markdown, made from the files of a run only."""

from vaejax.report.comparison import differences, findings, print_comparison
from vaejax.report.comparison_page import comparison_page
from vaejax.report.model_card import write_model_card
from vaejax.report.page import save_figures, sections_of, write_page
from vaejax.report.render import html, print_section

__all__ = [
    "comparison_page",
    "differences",
    "findings",
    "html",
    "print_comparison",
    "print_section",
    "save_figures",
    "sections_of",
    "write_model_card",
    "write_page",
]
