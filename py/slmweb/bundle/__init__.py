"""Makes a site of static files: the page, the core and packed models, for any host."""
