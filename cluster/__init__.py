"""The deployment of ``docker-compose.yaml`` without containers, to try and to test it."""
