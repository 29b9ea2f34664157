"""One outbound call, pure: its transactions, its dialogs, its life. Time is an argument."""
