"""Plans and reports as text, markdown and drawings. The commands call it; nothing here decides anything."""
