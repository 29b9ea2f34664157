"""E-mail: what comes in by SMTP, and what goes out through a smarthost."""
