"""How Django admin writes dates: like the dashboard, short and by 24 hours."""
