"""Live boards: channels, views, a user's own place, WebSocket and event stream."""
