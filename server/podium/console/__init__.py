"""The console: pages for people who support and analyse. What they show and do is the API's own."""
