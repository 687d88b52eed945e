"""From files of the outside world to Documents and Conversations."""
