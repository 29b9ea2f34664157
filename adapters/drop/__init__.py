"""Places where lists are dropped: folders of this machine, and SFTP servers."""
