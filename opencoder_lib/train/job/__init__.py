"""What `opencoder train CONFIG.toml` is made of: a configuration becomes token files, a run, an export.

The loop itself and what a notebook calls lie one level up; nothing there imports from here.
"""
