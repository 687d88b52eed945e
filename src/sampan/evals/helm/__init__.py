"""SEA-HELM from a user's copy of its repository: its tasks, prompts, ways of reading answers, scores and totals."""
