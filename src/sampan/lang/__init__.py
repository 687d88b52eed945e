"""What is known of each language, one YAML file each, and text work that is correct for scripts without spaces.

Importable without torch; the identifier's model loads only when a Latin-script text is first identified.
"""
