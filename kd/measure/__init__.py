"""What a student's C takes on a processor: compiled, run in an emulator, read off. Imports `kd.files` and `space`."""
