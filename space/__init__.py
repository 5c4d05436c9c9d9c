"""What a student may be: architectures, the domain they are drawn from, their cost. Imports no other folder."""
