"""The console: pages for support and analysis. They show and do only what the API can."""
