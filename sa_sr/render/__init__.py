"""What people look at: tables beside the paper's, comparison figures, training curves."""
