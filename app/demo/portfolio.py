"""Birch's story line: people look at a designer's portfolio, section by section. Pure."""

from app.demo.projects import PROJECTS
from app.demo.visit import Visit, pick

_PROJECTS = {project: project.share for project in PROJECTS}
_SECTIONS = ("hero", "selected-work", "process", "clients", "footer")
_LINKS = {"https://github.com/": 30, "https://dribbble.com/": 40, "https://www.linkedin.com/": 30}
READS_ON, OPENS_PROJECT, LEAVES_BY_LINK, WRITES = 0.72, 0.46, 0.2, 0.05


def tell_portfolio(visit: Visit) -> None:
    """Tell one visit to the portfolio."""
    visit.open_page("/", "Birch Studio")
    visit.tell("page_view")
    for section in _SECTIONS:
        if not visit.chance(READS_ON):
            break
        visit.wait(3, 25)
        visit.tell("section_view", {"section": section})
    while visit.chance(OPENS_PROJECT):
        project = pick(visit.rng, _PROJECTS)
        visit.wait(2, 20)
        visit.tell("project_click", {"project": project.id})
        visit.open_page(project.path, project.title)
        visit.wait(0.3, 1)
        visit.tell("page_view")
        visit.wait(15, 120)
    if visit.chance(LEAVES_BY_LINK):
        visit.wait(2, 15)
        visit.tell("external_link_click", {"href": pick(visit.rng, _LINKS)})
    elif visit.chance(WRITES):
        visit.open_page("/contact", "Contact")
        visit.tell("page_view")
        visit.wait(40, 240)
        visit.tell("form_submit", {"form": "contact"})
