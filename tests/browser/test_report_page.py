"""`report.html` in a browser: it loads nothing, complains of nothing, and a phone never scrolls it sideways."""

import pytest
from reports import hostile_report, whole_report

from opencoder_lib.clean.page import page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("report", [whole_report(), hostile_report(), {}], ids=["whole", "hostile", "empty"])
@pytest.mark.parametrize(("width", "look"), [(1280, "light"), (400, "dark")])
def test_the_page_needs_nothing_and_fits(chromium, tmp_path, report, width, look):
    path = tmp_path / "report.html"
    path.write_text(page(report), encoding="utf-8")
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=look)
    here, asked, said = context.new_page(), [], []
    here.on("request", lambda request: asked.append(request.url))
    here.on("console", lambda message: said.append(message.text))
    here.on("pageerror", lambda error: said.append(str(error)))
    here.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert said == []
    assert here.evaluate("document.documentElement.scrollWidth") <= width
    # The policy lets the page's own style through.
    ground = here.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if look == "light" else "rgb(20, 24, 30)")
    context.close()
