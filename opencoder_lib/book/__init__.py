"""The book: run stale chapters, stage them, write the generated pages, build the HTML."""
