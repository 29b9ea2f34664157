"""What a callee's sound says: keys, who answered, beeps, and what is recorded of it. Arrays, and no clock."""
