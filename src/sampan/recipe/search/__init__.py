"""Search for the weights of a merge: propose points, merge and examine each as a trial, keep the best."""
