"""What is known of a language: profile, normalisation, identification, segmentation (imports without torch)."""
