"""An OpenAI-compatible server and a chat page."""
