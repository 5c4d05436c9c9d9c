"""What optuna-dashboard shows: notes, figures and files of a study, and how they are served."""
