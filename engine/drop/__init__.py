"""Lists that are picked up where somebody drops them: on an SFTP server, or in a watched folder."""
