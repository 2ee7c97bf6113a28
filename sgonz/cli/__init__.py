"""What is typed: the commands, their options, help and completion. Heavy imports stand inside commands."""
