"""Live databases as knowledge: connections, their tables, text to SQL. Nothing is here yet."""
