"""Keep sphinx-thebe out of the pages.

Jupyter Book 1 always loads it; it puts a CDN address and a script with a console error on every page. This book
has no live cells, so everything it registered is taken back before the first page is read.
"""

OURS = "sphinx_thebe"


def setup(app):
    """Register the removal; it must come after sphinx-thebe's own setup, hence config-inited."""
    app.connect("config-inited", remove_thebe, priority=999)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def remove_thebe(app, config):
    """Disconnect sphinx-thebe's listeners and drop its style sheet."""
    for listeners in app.events.listeners.values():
        listeners[:] = [
            listener
            for listener in listeners
            if not (getattr(listener.handler, "__module__", "") or "").startswith(OURS)
        ]
    app.registry.css_files[:] = [entry for entry in app.registry.css_files if entry[0] != "sphinx-thebe.css"]
