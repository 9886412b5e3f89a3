"""What is made of the code for those who use it: notes of releases, the public API, the site."""
