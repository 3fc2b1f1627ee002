"""The instructor's desk: a web page of static files, and what serves it."""
