"""Sound: short-time spectra and back, mel bands, pitch, WAV files."""
