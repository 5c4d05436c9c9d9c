"""What is run beside the search: views and assistants, whole trainings, retraining, teachers."""
