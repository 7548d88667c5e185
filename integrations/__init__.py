"""What a company connects with its agents: webhooks, which tell other software what happens here."""
