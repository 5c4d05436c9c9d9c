"""What a student may be: architectures and their cost, the domain they are drawn from, their networks.

Imports no other folder.
"""
