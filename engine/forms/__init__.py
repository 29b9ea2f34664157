"""What users set up, as they write it: what each thing is made of, and all that is wrong with it."""
