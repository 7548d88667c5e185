"""What comes of it: figures per company and day, system metrics, the super admin's console. All tables are shared."""
