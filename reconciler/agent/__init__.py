"""The loop that keeps clusters equal to git. `commands.run` starts it; `web` shows what `status` holds."""
