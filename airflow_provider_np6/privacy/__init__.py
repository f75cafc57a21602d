"""What becomes of personal data between NP6 and a destination."""
