"""When a contact is due: the timer wheel, the rules of retrying, and the scheduler that drives them."""
