"""Lists that come by e-mail: whose mail is taken, and what its sender is told."""
