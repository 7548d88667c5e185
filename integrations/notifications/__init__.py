"""What the people of a company are told: in the dashboard and by mail, each as they like it."""
