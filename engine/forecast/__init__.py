"""When a list would end, by letting its calls happen in numbers only."""
