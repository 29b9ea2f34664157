"""A disk that loses what was not fsynced when its process is killed."""
